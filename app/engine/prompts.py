"""Prompts: how the turns of a conversation become text and tokens, for training and serving alike.

White space around a turn is removed. Blank turns are left out, unless they come last. Successive turns of one speaker become
one, a line each. The templates are in app.engine.templates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cache
from itertools import groupby
from typing import NamedTuple

from app.engine.base import Engine, begin
from app.engine.generation import refuse_long
from app.engine.templates import Template, layout_of
from app.engine.tokenizer import END_OF_TEXT
from app.errors import PromptTooLong

FREE_SHARE = 1 / 4
"""The share of the window that a conversation leaves free for an answer whose length is not known."""


class Turn(NamedTuple):
    """What a person or the model says.

    Instructions are a person's, and stay when older turns are left out. A last turn of the model that `goes_on` is not
    finished: the model writes the rest of it.
    """

    text: str
    by_model: bool = False
    instructs: bool = False
    goes_on: bool = False


def alternating(texts: Sequence[str]) -> list[Turn]:
    """Turns of a person and the model in alternation, a person's first."""
    return [Turn(text, by_model=number % 2 == 1) for number, text in enumerate(texts)]


def turn_texts(template: Template, turns: Sequence[Turn]) -> list[str]:
    """The text of each speaker's turn, with its separator and tag in front."""
    layout = layout_of(template)
    said = [turn for turn in turns[:-1] if turn.text.strip()] + list(turns[-1:])
    texts = [
        f"{layout.model if by_model else layout.person}{lines(successive)}".strip()
        for by_model, successive in groupby(said, key=lambda turn: turn.by_model)
    ]
    return [(layout.between if number else "") + text for number, text in enumerate(texts)]


def lines(turns: Iterable[Turn]) -> str:
    return "\n".join(turn.text.strip() for turn in turns)


def all_turn_tokens(engine: Engine, turns: Sequence[Turn], template: Template | None = None) -> list[int]:
    """The tokens of all `turns`, up to where the model's turn begins or, if the last one goes on, to the end of its text.

    As in training, each turn is tokenized by itself.

    The template is that of the model's conversations unless another one is given.
    """
    template = template or engine.profile.template
    layout = layout_of(template)
    end = turn_end(engine) if layout.ends_turns else []
    tokens: list[int] = []
    for text in turn_texts(template, turns):
        tokens += engine.tokenizer.encode(text) + end
    if turns[-1].goes_on:
        return begin(engine, tokens[: len(tokens) - len(end)])
    return begin(engine, tokens + engine.tokenizer.encode(layout.cue))


def whole_turn_tokens(engine: Engine, turns: Sequence[Turn]) -> list[int]:
    """The same of a conversation that may not be shortened. Raises PromptTooLong if it is sure not to fit."""
    refuse_long(engine, (turn.text.strip() for turn in turns))
    return all_turn_tokens(engine, turns)


def size_of(turns: Sequence[Turn]) -> int:
    """Characters that the turns have."""
    return sum(len(turn.text) for turn in turns)


def turn_end(engine: Engine) -> list[int]:
    """The tokens that close a turn of a chat: what ends a text. gpt-2-simple's string is written as the token it stands for."""
    if engine.end.token is not None:
        return [engine.end.token]
    token = engine.tokenizer.end_of_text
    if engine.end.text in (None, END_OF_TEXT) and token is not None:
        return [token]
    return engine.tokenizer.encode(engine.end.text or "")


class FittingTurns(NamedTuple):
    """The tokens of a conversation's newest turns, and the number of turns that were left out; None if that is not known."""

    tokens: list[int]
    left_out: int | None = None


def fitting_turn_tokens(
    engine: Engine, turns: Sequence[Turn], room: int | None, template: Template | None = None
) -> list[int]:
    """The tokens of `fitting_turns`. Raises PromptTooLong."""
    return fitting_turns(engine, turns, room, template).tokens


def fitting_turns(
    engine: Engine, turns: Sequence[Turn], room: int | None, template: Template | None = None
) -> FittingTurns:
    """The tokens of the newest `turns` that leave `room` tokens of the window free for the model's turn.

    The oldest turns are left out, up to a person's turn. The newest turn of a person and all instructions stay, so less than
    `room` may be left. `room` is half of the window at most, since a longer answer slides it anyway; None is FREE_SHARE of it.

    Raises PromptTooLong if what stays is longer than the window.
    """
    most = engine.n_ctx - (int(FREE_SHARE * engine.n_ctx) if room is None else min(room, engine.n_ctx // 2))
    firsts = [0] + [number for number, turn in enumerate(turns) if number and not (turn.by_model or turn.instructs)]

    def kept_from(first: int) -> list[Turn]:
        return [turn for turn in turns[:first] if turn.instructs] + list(turns[first:])

    @cache
    def tokens_from(first: int) -> list[int]:
        kept = kept_from(first)
        refuse_long(engine, (turn.text.strip() for turn in kept))
        return all_turn_tokens(engine, kept, template)

    def fits(first: int) -> bool:
        with suppress(PromptTooLong):
            return len(tokens_from(first)) <= most
        return False

    first = 0 if size_of(turns) <= most and fits(0) else earliest(firsts, fits)
    tokens = tokens_from(first)
    if len(tokens) > engine.n_ctx:
        raise PromptTooLong(len(tokens), engine.n_ctx)
    return FittingTurns(tokens, sum(not turn.instructs for turn in turns[:first]))


def earliest(firsts: Sequence[int], fits: Callable[[int], bool]) -> int:
    """The earliest of the turns that a conversation may begin with and then fits; the last of them if it never does.

    A conversation that begins later fits too. It is asked with steps that double, from the last one on, and then with halves of
    the last step: what is tokenized in all is little more than what fits, however long the conversation is.
    """
    fitting, step = len(firsts) - 1, 1
    while fitting and fits(firsts[max(0, fitting - step)]):
        fitting, step = max(0, fitting - step), 2 * step
    while step > 1:
        step //= 2
        if fitting - step >= 0 and fits(firsts[fitting - step]):
            fitting -= step
    return firsts[fitting]
