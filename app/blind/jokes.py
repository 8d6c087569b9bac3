"""Jokes: a question and its answer, and how a model begins one of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from app.ask import read_prompt
from app.engine.base import Engine
from app.engine.generation import GenerationOptions
from app.engine.stop_strings import overlap
from app.engine.templates import layout_of


class Joke(NamedTuple):
    """A question and its answer. A joke without a question has all of its text in `answer`."""

    question: str
    answer: str

    @property
    def shown(self) -> str:
        """The joke as one text."""
        return f"{self.question}\n\n{self.answer}".strip()


class JokeBeginning(NamedTuple):
    """What a model is given to write a joke of its own. `answer_tag` is what it writes before its answer, if anything."""

    prompt: list[int]
    options: GenerationOptions
    answer_tag: str


async def begin_joke(engine: Engine, options: GenerationOptions, topic: str = "") -> JokeBeginning:
    """The tag of a question and `topic`, after which the model writes both turns.

    The tag of the answer does not end its text, which goes on after the topic.
    """
    layout = layout_of(engine.profile.question_template)
    _, answer = layout.tags
    tags = [tag for tag in engine.profile.stop_tags if tag.strip() != answer]
    prompt = await read_prompt(engine, f"{layout.person}{topic}".strip())
    return JokeBeginning(prompt, replace(options, tags=tags), answer)


def split_joke(text: str, tag: str) -> Joke:
    """The joke in a model's text so far: the question, `tag`, the answer; a second `tag` ends it.

    A text without the tag, or without an answer, is not split. Neither a tag nor the beginning of one is ever shown.
    """
    if not tag:
        return Joke("", text.strip())
    question, answer, *_ = *text[: len(text) - overlap(text, tag)].split(tag, 2), ""
    return Joke(question.strip(), answer.strip()) if answer.strip() else Joke("", question.strip())
