"""Command lines of gcloud and bq, parsed by the flags that Google's reference lists. flags.json has them, each with its page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

FLAGS: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "flags.json").read_text(encoding="utf-8"))


class UsageError(Exception):
    """What the real program would refuse before it does anything."""


class CommandLine(NamedTuple):
    """`command` begins with the program; `flags` have their values, True or False without one.

    `stdin` and `folder`, in which it runs, are the process's; `progress` is what it prints while it works.
    """

    command: str
    arguments: list[str]
    flags: dict[str, Any]
    stdin: str = ""
    folder: Path = Path()
    progress: list[str] = []  # noqa: RUF012  A running command has its own.


def parse(words: Sequence[str]) -> CommandLine:
    """Raises UsageError."""
    rest, flags = list(words), dict[str, Any]()
    while words[0] == "bq" and rest[1:] and rest[1].startswith("-"):  # Its own flags come before the command too.
        after = rest[2:]
        take(rest[1], after, FLAGS["bq"]["flags"], flags)
        rest = [words[0], *after]
    command = command_of(rest)
    known = FLAGS[command]["flags"] | FLAGS[words[0]]["flags"]
    left, arguments = rest[len(command.split()) :], list[str]()
    while left:
        word = left.pop(0)
        if word.startswith("-") and word != "-":
            take(word, left, known, flags)
        else:
            arguments.append(word)
    fewest, most = FLAGS[command]["arguments"]
    if not fewest <= len(arguments) <= most:
        raise UsageError(f"{command} takes {fewest} to {most} arguments, and these are {len(arguments)}: {arguments}")
    return CommandLine(command, arguments, flags)


def command_of(words: Sequence[str]) -> str:
    for length in range(len(words), 1, -1):
        if (name := " ".join(words[:length])) in FLAGS:
            return name
    raise UsageError(f"Invalid choice: {' '.join(words[:4])!r} is no command, or flags.json lacks it")


def take(word: str, left: list[str], known: dict[str, str], flags: dict[str, Any]) -> None:
    """Read a flag, and its value from the next word. gcloud takes `--no-` before a flag without a value."""
    name, equals, value = word.partition("=")
    plain = name.replace("--no-", "--", 1)
    if name not in known and known.get(plain) == "":
        flags[plain] = False
    elif name not in known:
        raise UsageError(f"unrecognized arguments: {name}")
    elif not known[name]:
        if equals and value not in ("true", "false"):
            raise UsageError(f"argument {name}: ignored explicit argument {value!r}")
        flags[name] = value != "false"
    else:
        if not equals and (not left or left[0].startswith("--")):
            raise UsageError(f"argument {name}: expected one argument")
        flags[name] = value if equals else left.pop(0)
        choices = known[name].split("|")
        if choices != ["value"] and flags[name] not in choices:
            raise UsageError(f"argument {name}: Invalid choice: {flags[name]!r}")


def pairs(text: str | None) -> dict[str, str]:
    """KEY=VALUE,… as a dictionary."""
    return dict(pair.split("=", 1) for pair in (text or "").split(",") if pair)
