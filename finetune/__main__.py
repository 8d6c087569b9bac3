"""The command line, `gpt2 VERB` or `python -m finetune VERB`: from text to a model that the app serves."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches

from cyclopts import CycloptsError

from app.errors import FatalError, MachineError, SettingError
from finetune import terminal
from finetune.command_line import VERBS, command_line
from finetune.config_file import as_yaml, take_config
from finetune.environment import shield_libraries
from finetune.missing_package import missing_package
from finetune.network_errors import network_problem
from finetune.out_of_memory import explain_memory
from finetune.usage_errors import usage_problem

GENERAL_OPTIONS = ("--help", "-h", "--version")


def main(arguments: list[str] | None = None) -> int:
    """Run a verb and return the exit code. An expected error is printed as one line, with exit code 2."""
    terminal.print_utf_8()
    try:
        with explained_errors(), explain_memory("close other programs, or use a machine with more"):
            run(sys.argv[1:] if arguments is None else arguments)
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
    """Turn errors of usage, the network, the disk and the locale into FatalErrors of one sentence."""
    try:
        yield
    except (FatalError, BrokenPipeError):
        raise
    except CycloptsError as error:
        raise SettingError(usage_problem(error)) from None
    except UnicodeEncodeError as error:
        text = error.object[max(0, error.start - 20) : error.end + 20]
        raise SettingError(f"{text!r} has bytes that are not UTF-8: write it in UTF-8, or rename the file.") from None
    except Exception as error:
        if isinstance(error, ImportError) and (sentence := missing_package(error)):
            raise MachineError(sentence) from None
        if problem := network_problem(error):
            raise MachineError(f"{problem}.") from None
        if not isinstance(error, OSError):
            raise
        what = error.filename if error.filename is not None else "the disk"
        raise MachineError(f"{what}: {error.strerror or error}; nothing was left half-written.") from None


def run(arguments: list[str]) -> None:
    shield_libraries()
    line = command_line()
    rest, only_print = take_config(line, arguments)
    if rest:
        refuse_unknown_verb(rest[0])
    function, given, _ = line.parse_args(rest, exit_on_error=False, print_error=False)
    if only_print:
        print(as_yaml(given), end="")
    else:
        function(*given.args, **given.kwargs)


def refuse_unknown_verb(word: str) -> None:
    """Raises SettingError with the nearest verb, if there is one. Cyclopts would import every verb to find it."""
    names = {name: verb for verb, each in VERBS.items() for name in (verb, *each.synonyms)}
    names |= {option: option for option in GENERAL_OPTIONS}
    if word in VERBS or word in GENERAL_OPTIONS:
        return
    near = get_close_matches(word, names, n=1)
    guess = f" Did you mean {names[near[0]]}?" if near else ""
    raise SettingError(f"there is no verb {word!r}.{guess} `gpt2 --help` lists all.")


if __name__ == "__main__":
    sys.exit(main())
