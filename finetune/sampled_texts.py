"""Texts sampled from an engine, as many side by side as its memory holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from app.engine.base import Engine, start_tokens
from app.engine.batch import generate
from app.engine.deadline import NEVER, Deadline
from app.engine.generation import GenerationOptions, needed_positions
from app.errors import SettingError


@dataclass(frozen=True)
class SampledText:
    """What the model wrote after a prefix. `ended`: whether it reached its end marker before the length ran out."""

    text: str
    ended: bool


def sample_texts(
    engine: Engine,
    prefix: str,
    count: int,
    options: GenerationOptions,
    deadline: Deadline = NEVER,
    written: Callable[[float], object] = lambda *_: None,
) -> Iterator[SampledText]:
    """Write `count` texts after the prefix; `options.samples` is ignored. When the deadline passes, the texts end as they are.

    `written` is told while texts are written which share of one was: all shares add up to `count`.

    Raises SettingError, as `encode_prefix` does, and DeadlinePassed if no text has begun.
    """
    tokens = encode_prefix(engine, prefix)
    rows = max(1, engine.max_positions // needed_positions(engine, tokens, options))
    for first in range(0, count, rows):
        # A row's random stream depends on the seed and its index in the batch, so each batch needs a seed of its own.
        batch = replace(options, samples=min(rows, count - first), seed=options.seed + first)
        yield from sample_batch(engine, tokens, batch, deadline, written)


def sample_batch(
    engine: Engine,
    tokens: Sequence[int],
    options: GenerationOptions,
    deadline: Deadline,
    written: Callable[[float], object],
) -> list[SampledText]:
    """Write `options.samples` texts side by side."""
    texts, ended = [""] * options.samples, [False] * options.samples
    left = [1.0] * options.samples
    for delta in generate(engine, tokens, options, deadline):
        texts[delta.index] += delta.text
        ended[delta.index] = delta.finish_reason == "stop"
        # A text that ends early counts as a whole one, so that the time left can be told from the share.
        share = left[delta.index] if delta.finish_reason else min(delta.tokens / options.length, left[delta.index])
        left[delta.index] -= share
        written(share)
    return [SampledText(*pair) for pair in zip(texts, ended, strict=True)]


def encode_prefix(engine: Engine, prefix: str) -> list[int]:
    """The tokens to begin with. Raises SettingError where they do not fit the model's window."""
    tokens = start_tokens(engine, prefix)
    if len(tokens) > engine.n_ctx:
        raise SettingError(
            f"--prefix is {len(tokens)} tokens long and the model's window holds {engine.n_ctx}: shorten it."
        )
    return tokens
