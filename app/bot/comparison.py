"""A blind comparison: models and people's texts take turns by chance, look alike, and are voted on alike.

People's texts are a `.jsonl` as `finetune prepare` reads it, `{"turns": [question, answer]}` or `{"body": text}` a line,
or a `.txt` with a text a line.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import msgspec

from app.bot.message_limits import LIMIT, Joke, units
from app.errors import SettingError

EXPECTED = '{"turns": [question, answer]} or {"body": text}'


class Document(msgspec.Struct):
    """A line of a `.jsonl`."""

    turns: list[str] = []
    body: str = ""

    @property
    def joke(self) -> Joke:
        question, *answer = [turn.strip() for turn in self.turns] or ["", self.body.strip()]
        return Joke(question, "\n".join(answer)) if answer else Joke("", question)


class Contender(msgspec.Struct, frozen=True):
    """A model, or people whose `jokes` are in the file of this name."""

    name: str
    jokes: Sequence[Joke] = ()


class Comparison:
    def __init__(self, contenders: Sequence[Contender]) -> None:
        self._contenders = contenders
        self._models = [contender for contender in contenders if not contender.jokes]

    def __bool__(self) -> bool:
        return bool(self._contenders)

    def pick(self) -> Contender:
        """Whose turn it is to tell a joke."""
        return random.choice(self._contenders)

    def pick_model(self) -> str | None:
        """Whose turn it is to answer what only a model can. None is the default one."""
        return random.choice(self._models).name if self._models else None


def read_comparison(compare: str, models: Sequence[str]) -> Comparison:
    """Raises SettingError."""
    names = [name.strip() for name in compare.split(",") if name.strip()]
    contenders = [Contender(name) if name in models else read_people(Path(name), models) for name in names]
    if len({contender.name for contender in contenders}) < len(names):
        raise SettingError(f"COMPARE is {compare!r}, in which a name comes twice: name each once.")
    if len(contenders) == 1:
        raise SettingError(f"COMPARE is {compare!r}, and should name two at least.")
    return Comparison(contenders)


def read_people(path: Path, models: Sequence[str]) -> Contender:
    if path.suffix not in (".jsonl", ".txt"):
        served = ", ".join(models)
        raise SettingError(
            f"COMPARE names {str(path)!r}, which is neither a model served here ({served}) nor a .jsonl or .txt file."
        )
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingError(f"COMPARE names {path}, which cannot be read ({reason}).") from None
    jokes = [read_joke(line, path, number) for number, line in enumerate(lines, 1) if line.strip()]
    if not jokes:
        raise SettingError(f"COMPARE names {path}, in which there is no text.")
    return Contender(path.name, jokes)


def read_joke(line: str, path: Path, number: int) -> Joke:
    try:
        joke = msgspec.json.decode(line, type=Document).joke if path.suffix == ".jsonl" else Joke("", line.strip())
    except msgspec.DecodeError as error:
        raise SettingError(f"line {number} of {path} should be {EXPECTED}: {error}.") from None
    if not joke.answer:
        raise SettingError(f"line {number} of {path} holds no text: {EXPECTED} is expected.")
    if units(f"{joke.question}\n\n{joke.answer}") > LIMIT:
        raise SettingError(f"line {number} of {path} is longer than the {LIMIT} units a message may have: shorten it.")
    return joke
