"""Jokes: a question and its answer."""

from __future__ import annotations

from typing import NamedTuple

from app.bot.message_limits import cut


class Joke(NamedTuple):
    """A question and its answer. A joke without a question has all of its text in `answer`."""

    question: str
    answer: str

    @property
    def shown(self) -> str:
        """The joke as one message."""
        return cut(f"{self.question}\n\n{self.answer}".strip())


def split_joke(text: str, tag: str) -> Joke:
    """The joke in a model's text, whose answer begins after `tag`. A text without the tag, or without an answer, is not split."""
    question, _, answer = text.partition(tag) if tag else ("", "", text)
    return Joke(question.strip(), answer.strip()) if answer.strip() else Joke("", question.strip())
