"""A finding of `doctor`: a line with what is there, and the command that mends what is not fine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MARKS = {"fine": "✓", "note": "!", "broken": "✗"}
WIDTH = 16


@dataclass(frozen=True)
class Finding:
    """`broken` stands in the way of serving or training, a `note` only of something else, or it slows it down."""

    name: str
    state: Literal["fine", "note", "broken"]
    said: str
    mend: str = ""

    def __str__(self) -> str:
        line = f"{MARKS[self.state]} {self.name:<{WIDTH}} {self.said}"
        return f"{line}\n{'':<{WIDTH + 2}} → {self.mend}" if self.mend else line


def fine(name: str, said: str) -> Finding:
    return Finding(name, "fine", said)


def note(name: str, said: str, mend: str = "") -> Finding:
    return Finding(name, "note", said, mend)


def broken(name: str, said: str, mend: str) -> Finding:
    return Finding(name, "broken", said, mend)
