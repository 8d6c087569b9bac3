"""The command line, `python -m finetune VERB`: from text to a model that the app serves."""

from __future__ import annotations

import sys
from argparse import Action
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, set_parsing_settings

from app.errors import FatalError, MachineError, SettingError
from finetune import terminal
from finetune.commands.download import download
from finetune.commands.evaluate import evaluate
from finetune.commands.export import export
from finetune.commands.fetch import FetchOptions, fetch
from finetune.commands.import_ import import_
from finetune.commands.prepare import prepare
from finetune.commands.report import report
from finetune.commands.sample import sample
from finetune.commands.starter import starter
from finetune.commands.train import train
from finetune.environment import shield_libraries
from finetune.network_errors import network_problem
from finetune.openai_shapes import OpenaiModel
from finetune.out_of_memory import explain_memory
from finetune.training.options import TrainingOptions

# In the order in which they are used.
VERBS: dict[str, Callable[..., None]] = {
    "download": download,
    "import": import_,
    "fetch": fetch,
    "prepare": prepare,
    "train": train,
    "evaluate": evaluate,
    "sample": sample,
    "export": export,
    "report": report,
    "starter": starter,
}
# Verbs with many options take them as one object.
OPTION_CLASSES: dict[str, type] = {"fetch": FetchOptions, "train": TrainingOptions}
# Positional arguments, as in `prepare INPUT...`.
POSITIONAL: dict[str, dict[str, Any]] = {
    "download": {"dest": "model", "type": OpenaiModel, "help": "the OpenAI model to fetch"},
    "import": {"dest": "source", "type": Path, "help": "a Hugging Face folder with config.json and model.safetensors"},
    "fetch": {
        "dest": "query",
        "type": str,
        "help": "a query of bq_queries/, a .sql file, reddit, csv, hf-csv, aclImdb, jsonl, ratings",
    },
    "prepare": {
        "dest": "inputs",
        "type": str,
        "nargs": "+",
        "help": ".txt, .csv, .tsv, .jsonl, .npz; files, folders, patterns",
    },
}
# Options that may be repeated, or take several values at once.
REPEATED: dict[str, dict[str, str]] = {
    "fetch": {
        "source": "files, folders or patterns to read; TABLE=pattern where a query reads several tables",
        "param": "a parameter as name=value, or another table as TABLE=project.dataset.table",
    }
}


def main(arguments: list[str] | None = None) -> int:
    """Run a verb and return the exit code. An expected error is printed as one line, with exit code 2."""
    terminal.print_utf_8()
    try:
        with explained_errors():
            given = parser().parse_args(arguments)
            shield_libraries()
            with explain_memory("close other programs, or use a machine with more"):
                run(given.verb, given[given.verb])
            terminal.flush()
    except FatalError as error:
        terminal.print_error(str(error))
        return 2
    except BrokenPipeError:
        return terminal.PIPE_CLOSED
    except KeyboardInterrupt:
        print("interrupted; nothing was left half-written.", file=sys.stderr)
        return 130
    finally:
        terminal.print_nothing_more()
    return 0


@contextmanager
def explained_errors() -> Iterator[None]:
    """Turn errors of the network, the disk and the locale into FatalErrors of one sentence."""
    try:
        yield
    except (FatalError, BrokenPipeError):
        raise
    except UnicodeEncodeError as error:
        text = error.object[max(0, error.start - 20) : error.end + 20]
        raise SettingError(f"{text!r} has bytes that are not UTF-8: write it in UTF-8, or rename the file.") from None
    except Exception as error:
        if problem := network_problem(error):
            raise MachineError(f"{problem}.") from None
        if not isinstance(error, OSError):
            raise
        what = error.filename if error.filename is not None else "the disk"
        raise MachineError(f"{what}: {error.strerror or error}; nothing was left half-written.") from None


def parser() -> ArgumentParser:
    whole = ArgumentParser(prog="python -m finetune", description=__doc__)
    verbs = whole.add_subcommands(dest="verb", required=True)
    for name, verb in verb_parsers().items():
        verbs.add_subcommand(name, verb)
        let_flags_stand_alone(verb)
    return whole


def verb_parsers() -> dict[str, ArgumentParser]:
    """The parser of each verb. `options_of` lists what it takes."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    return {name: verb_parser(name, function) for name, function in VERBS.items()}


def verb_parser(name: str, function: Callable[..., None]) -> ArgumentParser:
    """A verb's options are its function's arguments, or the fields of its class in OPTION_CLASSES."""
    verb = ArgumentParser(description=(function.__doc__ or "").partition("\n")[0])
    verb.add_argument("--config", action="config", help="a YAML file with options; the command line overrides it")
    added: set[str | int] = set()
    if name in POSITIONAL:
        settings = POSITIONAL[name].copy()
        added.add(dest := settings.pop("dest"))
        verb.add_argument(dest, **settings)
    for dest, meaning in REPEATED.get(name, {}).items():
        verb.add_argument(f"--{dest}", action="extend", nargs="+", type=str, default=[], help=meaning)
        added.add(dest)
    if name in OPTION_CLASSES:
        verb.add_class_arguments(OPTION_CLASSES[name], skip=added)
    else:
        verb.add_function_arguments(function, as_positional=False, skip=added)
    return verb


def options_of(verb: ArgumentParser) -> list[Action]:
    """A verb's own arguments and options, without --help and --config. Each has `dest`, `default` and `help`."""
    general = ("help", "config", "print_config")
    # argparse has no public way to list them.
    return [action for action in verb._actions if action.dest not in general]


def let_flags_stand_alone(verb: ArgumentParser) -> None:
    """Accept `--resume` for `--resume true`."""
    for action in options_of(verb):
        if action.default is False:
            action.nargs, action.const = "?", True


def run(verb: str, options: Any) -> None:
    values = {name: value for name, value in options.as_dict().items() if name not in ("config", "__path__")}
    if verb in OPTION_CLASSES:
        VERBS[verb](OPTION_CLASSES[verb](**values))
    else:
        VERBS[verb](**values)


if __name__ == "__main__":
    sys.exit(main())
