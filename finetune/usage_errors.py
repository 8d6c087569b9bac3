"""Usage errors: a wrong command line as one sentence, with the nearest name for a misspelt one."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from cyclopts import CycloptsError
from cyclopts.argument import Argument
from cyclopts.exceptions import (
    CoercionError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownOptionError,
    UnusedCliTokensError,
)


def usage_problem(error: CycloptsError) -> str:
    """The error as one sentence that says what is wrong and what to do."""
    match error:
        case CoercionError(token=token) if token is not None and error.msg is None and error.argument is not None:
            name = token.keyword.strip("[]") if token.keyword else shown_name(error.argument)
            return (
                f"{name} is {token.value!r}{origin(token.source)}, and should be {kind_in_words(error.argument.hint)}."
            )
        case MissingArgumentError() if error.argument is not None:
            return missing(error)
        case RepeatArgumentError(token=token):
            return f"{token.keyword} is given more than once: give it once."
        case UnusedCliTokensError(unused_tokens=[first, *_]):
            return f"{first!r} is one word too many: `{command(error)} --help` lists what it takes."
        case UnknownOptionError():
            return unknown(error)
    return lower_first(" ".join(str(error).split()))


def unknown(error: UnknownOptionError) -> str:
    """Names an option that is none, and the nearest that is one. In a file, options have no hyphens before them."""
    word = (error.token.keyword or error.token.value).partition("=")[0].strip("[]")
    known = [name for argument in error.argument_collection if argument.parse for name in argument.names]
    if not word.startswith("-"):
        known = [name.lstrip("-").replace("-", "_") for name in known]
    near = get_close_matches(word, [*known, "--help"], n=1)
    guess = f" Did you mean {near[0]}?" if near else ""
    where = origin(error.token.source).replace(" in ", ", which is in ")
    return f"`{command(error)}` has no option {word}{where}.{guess} `{command(error)} --help` lists all."


def missing(error: MissingArgumentError) -> str:
    """Names what is missing, and what it means. A misspelt option may be the cause."""
    assert error.argument is not None
    name = error.keyword or shown_name(error.argument)
    meaning = next((each.parameter.help for each in described(error) if each.name == error.argument.name), None) or ""
    meaning = " ".join(meaning.split())
    if error.keyword or any(token.keyword for token in error.argument.tokens):
        return f"{name} needs a value: {meaning}."
    text = str(error)
    guess = f" {text[text.index('Did you mean') :]}" if "Did you mean" in text else ""
    return f"`{command(error)}` needs {name}: {meaning}.{guess}"


def described(error: CycloptsError) -> Iterable[Argument]:
    """The arguments of the error's verb, each with its meaning, which cyclopts reads for its help only."""
    assert error.app is not None
    return error.app.assemble_argument_collection(parse_docstring=True)


def shown_name(argument: Argument) -> str:
    """Positional arguments in capitals, as the help shows them."""
    positional = argument.index is not None
    return argument.name.lstrip("-").upper() if positional else argument.name


def command(error: CycloptsError) -> str:
    return " ".join(("gpt2", *(error.command_chain or ())))


def origin(source: str) -> str:
    return "" if source in ("", "cli") else f" in {source}"


def lower_first(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def kind_in_words(hint: Any) -> str:
    """What a type takes: "a whole number or auto"."""
    words = list(dict.fromkeys(parts(hint)))
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def parts(hint: Any) -> Iterator[str]:
    plain = {int: "a whole number", float: "a number", bool: "true or false", Path: "a path"}
    if get_origin(hint) in (Union, types.UnionType):
        for each in get_args(hint):
            yield from parts(each)
    elif get_origin(hint) is Annotated:
        yield from parts(get_args(hint)[0])
    elif get_origin(hint) is Literal:
        yield from map(str, get_args(hint))
    elif hint is not type(None):
        yield plain.get(hint, "text")
