"""The terminal: what verbs print is UTF-8, whatever the locale says, and harmless; a reader that leaves ends them quietly."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path
from typing import TextIO

from app.errors import SettingError

PIPE_CLOSED = 141
"""The exit code of programs that SIGPIPE ends."""
CONTROLS = {code: "�" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t\r"} | {ord("\r"): None}


def print_utf_8() -> None:
    """Encode what is printed as UTF-8; bytes of file names that are not UTF-8 as escapes. Closed streams print nothing.

    What a person types is read as UTF-8 too.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  # As long as the process runs.
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    if isinstance(sys.stdin, io.TextIOWrapper) and sys.stdin.isatty():
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")


LONGEST_ERROR = 2000
"""Characters."""


def harmless(text: str) -> str:
    """Without the characters that a terminal takes as commands. A model may write any, and a name may hold any."""
    return text.translate(CONTROLS)


def shown(text: str) -> str:
    """The text as it is to be printed: harmless on a terminal, exact in a file or a pipe."""
    return harmless(text) if sys.stdout.isatty() else text


def flush() -> None:
    """Raises OSError, such as BrokenPipeError, if what was printed cannot be written."""
    sys.stdout.flush()
    sys.stderr.flush()


def print_nothing_more() -> None:
    """Python would otherwise write the rest at its exit, and fail again."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            drop_output(stream)


def drop_output(stream: TextIO) -> None:
    """Drop what the stream still holds, which it would try to write again at exit, and what is written to it from now on."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def consents(question: str, nobody: str) -> bool:
    """Ask a person, on stderr. Raises SettingError with the sentence `nobody` where no terminal is there to answer."""
    if not sys.stdin.isatty():
        raise SettingError(nobody)
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    try:
        return input("").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def print_error(sentence: str) -> None:
    """Print an error. One that quotes a value of megabytes loses its middle."""
    if len(sentence) > LONGEST_ERROR:
        sentence = f"{sentence[: LONGEST_ERROR // 2]} … {sentence[-LONGEST_ERROR // 2 :]}"
    with contextlib.suppress(BrokenPipeError):
        print(f"error: {harmless(sentence)}", file=sys.stderr, flush=True)
