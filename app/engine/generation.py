"""The loop that writes: prompt in, pieces of text out, one at a time.

Streaming, stop strings, disconnects and deadlines all live on the same iterator: whoever stops asking, stops the writing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from app.engine.base import Decoder, Engine, Tokens, as_rows, start_tokens
from app.engine.sampling import Logits, Sampling, choose, penalize
from app.engine.text import Text
from app.errors import ContextExceeded, InvalidRequest

FinishReason = Literal["stop", "length", "timeout"]


@dataclass(frozen=True)
class Options:
    """What to write. `seed` makes it repeatable; rows of a batch draw from their own streams of chance.

    `truncate` stops like one of `stops`, and drops newlines at the beginning of the text first. `reuse` saves reading again what
    was read or written before, for a last digit in the logits.
    """

    length: int = 100
    samples: int = 1
    seed: int = 0
    sampling: Sampling = field(default_factory=Sampling)
    stops: Sequence[str] = ()
    truncate: str | None = None
    reuse: bool = False


@dataclass(eq=False)
class Deadline:
    """When a generation must have ended, on the clock of time.monotonic(). It may be moved while it runs."""

    at: float = math.inf

    @property
    def passed(self) -> bool:
        return time.monotonic() >= self.at


@dataclass(frozen=True)
class Piece:
    """What one more token adds to one of the texts, possibly nothing yet. The last piece has a reason."""

    index: int
    text: str
    finish_reason: FinishReason | None = None


def prepare(engine: Engine, prompt: str, options: Options) -> list[int]:
    """Turn the prompt into tokens, refusing what cannot be written. Raises InvalidRequest, ContextExceeded."""
    tokens = start_tokens(engine, prompt)
    if len(tokens) > engine.n_ctx:
        raise ContextExceeded(len(tokens), engine.n_ctx)
    positions = options.samples * needed_positions(engine, tokens, options)
    if options.samples > 1 and positions > engine.max_positions:
        message = (
            f"nsamples × (prefix + length) comes to {positions} tokens and {engine.max_positions} fit in memory at once"
        )
        raise InvalidRequest(f"{message}: ask for fewer or shorter samples.", param="nsamples")
    return tokens


def needed_positions(engine: Engine, tokens: Sequence[int], options: Options) -> int:
    return min(engine.n_ctx, len(tokens) + options.length)


def generate(
    engine: Engine, tokens: Sequence[int], options: Options, deadline: Deadline | None = None
) -> Iterator[Piece]:
    """Write `options.samples` texts side by side after `tokens` (from `prepare`), yielding each piece as it comes.

    When the window is full it slides: the newest half of it is kept and read again, and the writing goes on.
    """
    deadline = deadline or Deadline()
    rows = [Row(engine, tokens, options, index) for index in range(options.samples)]
    with closing(engine.decoder(len(rows), needed_positions(engine, tokens, options), options.reuse)) as decoder:
        yield from write(engine, tokens, options, deadline, rows, decoder)


def write(
    engine: Engine, tokens: Sequence[int], options: Options, deadline: Deadline, rows: list[Row], decoder: Decoder
) -> Iterator[Piece]:
    history: list[Tokens] = list(as_rows(tokens, len(rows)).T)
    logits = decoder.prefill(np.stack(history, axis=1))
    for written in range(1, options.length + 1):
        chosen = np.array([row.choose(logits[row.index]) for row in rows], np.int64)
        last: FinishReason | None = "length" if written == options.length else "timeout" if deadline.passed else None
        for row, token in zip(rows, chosen, strict=True):
            if not row.finished:
                yield row.write(int(token), last)
        if all(row.finished for row in rows):
            return
        history.append(chosen)
        if len(history) > engine.n_ctx:
            history = history[-max(1, engine.n_ctx // 2) :]
            logits = decoder.prefill(np.stack(history, axis=1))
        else:
            logits = decoder.step(chosen)


class Row:
    """One of the texts that are written side by side."""

    def __init__(self, engine: Engine, prompt: Sequence[int], options: Options, index: int) -> None:
        self.index = index
        self.finished = False
        self._sampling = options.sampling
        self._random = np.random.default_rng([options.seed, index])
        self._ends = {engine.end.token, engine.tokenizer.end_of_text}
        stops = [stop for stop in (*options.stops, options.truncate, engine.end.text) if stop]
        self._text = Text(engine.tokenizer, stops, strip=options.truncate is not None)
        self._counts = np.zeros(len(engine.tokenizer), np.int32)
        self._prompted = np.zeros(len(engine.tokenizer), np.bool_)
        self._prompted[list(prompt)] = True

    def choose(self, logits: Logits) -> int:
        if self.finished:
            return 0
        if self._sampling.penalizes:
            logits = penalize(logits, self._prompted, self._counts, self._sampling)
        token = choose(logits, self._sampling, self._random)
        self._counts[token] += 1
        return token

    def write(self, token: int, last: FinishReason | None) -> Piece:
        """Add the token. The text finishes at its end marker, at a stop string or, with the reason given, because it must."""
        ended = token in self._ends
        shown = "" if ended else self._text.add(token)
        reason = "stop" if ended or self._text.stopped else last
        self.finished = reason is not None
        return Piece(self.index, shown + (self._text.rest() if self.finished else ""), reason)
