"""Texts as a chat shows them: never longer than Telegram takes, which counts UTF-16's units."""

from __future__ import annotations

from typing import NamedTuple

THANKS = "\n\nThank you for your feedback."
# Of Telegram's 4096 units, what is left beside the thanks that a vote adds.
LIMIT = 4096 - len(THANKS)


class Joke(NamedTuple):
    """A question and its answer, or all of it in `answer`."""

    question: str
    answer: str

    @property
    def shown(self) -> str:
        return cut(f"{self.question}\n\n{self.answer}".strip())


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def cut(text: str, limit: int = LIMIT) -> str:
    """The beginning of the text, in whole characters."""
    return text.encode("utf-16-le")[: 2 * limit].decode("utf-16-le", errors="ignore")
