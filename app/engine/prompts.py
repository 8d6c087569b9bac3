"""Prompt templates: how the turns of a conversation become text and tokens, for training and serving alike.

text    turn, newline, turn; the model continues the last one
qa      [QUESTION] turn, newline, [ANSWER] turn, newline, and so on
chat    turn, end-of-text token, turn, end-of-text token

White space around a turn is removed. Blank turns are left out, unless they come last. Successive turns of one speaker become
one, a line each.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from app.engine.base import Engine, begin
from app.engine.bundle import Template
from app.engine.tokenizer import END_OF_TEXT
from app.errors import PromptTooLong

TAGS: dict[Template, tuple[str, str]] = {"text": ("", ""), "qa": ("[QUESTION]", "[ANSWER]"), "chat": ("", "")}
"""The tags before a person's turn and before the model's."""
STARTER_TAGS = ("[USER]", "[BOT]", "[VERDICT]")
"""The tags of models/starter's other texts, into which an answer of it may run."""
FREE_SHARE = 1 / 4
"""The share of the window that a conversation leaves free for an answer whose length is not known."""


class Turn(NamedTuple):
    """What a person or the model says. Instructions are a person's, and stay when older turns are left out."""

    text: str
    by_model: bool = False
    instructs: bool = False


def alternating(texts: Sequence[str]) -> list[Turn]:
    """Turns of a person and the model in alternation, a person's first."""
    return [Turn(text, by_model=number % 2 == 1) for number, text in enumerate(texts)]


def ends_turns(template: Template) -> bool:
    """Whether the end-of-text token follows each turn. If not, a newline comes before each turn but the first."""
    return template == "chat"


def turn_texts(template: Template, turns: Sequence[Turn]) -> list[str]:
    """The text of each speaker's turn, with its separator and tag in front."""
    said = [turn for turn in turns[:-1] if turn.text.strip()] + list(turns[-1:])
    texts = [
        f"{TAGS[template][by_model]} {lines(successive)}".strip()
        for by_model, successive in groupby(said, key=lambda turn: turn.by_model)
    ]
    separator = "" if ends_turns(template) else "\n"
    return [(separator if number else "") + text for number, text in enumerate(texts)]


def lines(turns: Iterable[Turn]) -> str:
    return "\n".join(turn.text.strip() for turn in turns)


def model_cue(template: Template) -> str:
    """The text that asks the model for its turn. The space after the tag is left out: it belongs to the answer's first word."""
    tag = TAGS[template][1]
    return f"\n{tag}" if tag else ""


def turn_stops(template: Template) -> list[str]:
    """Strings that end the model's turn, besides the end of the text: the tags with which other turns and texts begin."""
    tags = (*TAGS[template], *STARTER_TAGS) if template == "qa" else TAGS[template]
    return [stop for tag in tags for stop in tag_stops(tag)]


def tag_stops(tag: str) -> list[str]:
    """A tag at the beginning of a line or within one. The blank before it is no part of the text that it ends."""
    return [tag, f" {tag}", f"\n{tag}"] if tag else []


def all_turn_tokens(engine: Engine, turns: Sequence[Turn]) -> list[int]:
    """The tokens of all `turns`, up to where the model's turn begins. As in training, each turn is tokenized by itself."""
    end = turn_end(engine) if ends_turns(engine.template) else []
    tokens: list[int] = []
    for text in turn_texts(engine.template, turns):
        tokens += engine.tokenizer.encode(text) + end
    return begin(engine, tokens + engine.tokenizer.encode(model_cue(engine.template)))


def turn_end(engine: Engine) -> list[int]:
    """The tokens that close a turn of a chat: what ends a text. gpt-2-simple's string is written as the token it stands for."""
    if engine.end.token is not None:
        return [engine.end.token]
    token = engine.tokenizer.end_of_text
    if engine.end.text in (None, END_OF_TEXT) and token is not None:
        return [token]
    return engine.tokenizer.encode(engine.end.text or "")


def fitting_turn_tokens(engine: Engine, turns: Sequence[Turn], room: int | None) -> list[int]:
    """The tokens of the newest `turns` that leave `room` tokens of the window free for the model's turn.

    The oldest turns are left out, up to a person's turn. The newest turn of a person and all instructions stay, so less than
    `room` may be left. `room` is half of the window at most, since a longer answer slides it anyway; None is FREE_SHARE of it.

    Raises PromptTooLong if what stays is longer than the window.
    """
    room = int(FREE_SHARE * engine.n_ctx) if room is None else min(room, engine.n_ctx // 2)
    firsts = [0] + [number for number, turn in enumerate(turns) if number and not (turn.by_model or turn.instructs)]

    def tokens_from(first: int) -> list[int]:
        return all_turn_tokens(engine, [turn for turn in turns[:first] if turn.instructs] + list(turns[first:]))

    # Bisection, since tokenizing thousands of turns takes a while.
    tokens = tokens_from(0)
    if len(tokens) > engine.n_ctx - room:
        fitting = bisect_left(firsts, True, key=lambda first: len(tokens_from(first)) <= engine.n_ctx - room)
        tokens = tokens_from(firsts[min(fitting, len(firsts) - 1)])
    if len(tokens) > engine.n_ctx:
        raise PromptTooLong(len(tokens), engine.n_ctx)
    return tokens
