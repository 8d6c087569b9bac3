"""The documentation's pages, taken apart: prose and fenced blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from docs import generate
from tests.conftest import ROOT

PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in [*generate.pages(), ROOT / "CONTRIBUTING.md"]
}
README = PAGES["README.md"]
# What a block of commands may need, as docs/README.md explains. Tests run the blocks without such a word.
NEEDS = {"setup", "download", "server", "cloud", "telegram", "container", "gpu", "other-program"}


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the words behind it, its lines without their indentation."""

    language: str
    words: tuple[str, ...]
    lines: tuple[str, ...]

    @property
    def commands(self) -> list[str]:
        """The lines that begin with a dollar sign, each with its continuation lines."""
        return re.findall(r"^\$ ((?:.*\\\n)*.*)$", "\n".join(self.lines), re.MULTILINE)


def blocks(text: str) -> Iterator[Block]:
    for found in re.finditer(r"^( *)```(\w+)([^\n]*)\n(.*?)^\1```$", text, re.DOTALL | re.MULTILINE):
        indent, language, words, body = found.groups()
        yield Block(language, tuple(words.split()), tuple(line.removeprefix(indent) for line in body.splitlines()))


def prose(text: str) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.DOTALL | re.MULTILINE)
