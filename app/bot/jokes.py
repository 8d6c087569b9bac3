"""Jokes: a question and its answer."""

from __future__ import annotations

from typing import NamedTuple

from app.bot.message_limits import cut
from app.engine.stop_strings import overlap


class Joke(NamedTuple):
    """A question and its answer. A joke without a question has all of its text in `answer`."""

    question: str
    answer: str

    @property
    def shown(self) -> str:
        """The joke as one message."""
        return cut(f"{self.question}\n\n{self.answer}".strip())


def split_joke(text: str, tag: str) -> Joke:
    """The joke in a model's text so far: the question, `tag`, the answer; a second `tag` ends it.

    A text without the tag, or without an answer, is not split. Neither a tag nor the beginning of one is ever shown.
    """
    if not tag:
        return Joke("", text.strip())
    question, answer, *_ = *text[: len(text) - overlap(text, tag)].split(tag, 2), ""
    return Joke(question.strip(), answer.strip()) if answer.strip() else Joke("", question.strip())
