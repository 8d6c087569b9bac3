"""The contract of an engine: what computes logits, and what everything else may rely on.

An `Engine` is a model. Its `Slots` hold the KV caches of several texts, which passes over the model extend. There are three
implementations: `onnx` serves, `tensorflow` is gpt-2-simple itself, to compare with, and `fake` has known logits, for tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from app.engine.bundle import EndMarker
from app.engine.profile import Profile
from app.engine.tokenizer import Tokenizer

Tokens = NDArray[np.int64]
"""Token ids, [n] or [rows, n]."""
Logits = NDArray[np.float32]
"""Logits, [n_vocab] or [rows, n_vocab]."""


class RowStep(NamedTuple):
    """One more token of a text that is being written: what stands at `position`, the number of tokens before it."""

    slot: int
    token: int
    position: int


class Chunk(NamedTuple):
    """A piece of a prompt, of one token or more, that stands from position `start` on. `every`: all its logits are wanted."""

    slot: int
    tokens: Tokens
    start: int
    every: bool = False


class Slots(Protocol):
    """The KV caches of `count` texts of one model, with `capacity` positions each. One thread at a time may use them."""

    count: int
    capacity: int

    def run(self, steps: Sequence[RowStep], chunk: Chunk | None) -> Logits:
        """One pass over the model: a step of each text that is being written, and a piece of one prompt; at least one of both.

        Returns the logits of the tokens that come next, [rows, n_vocab], valid until the next call: a row for each step, in
        order, then one for the newest position of the chunk, or with `every` one for each of its positions.
        """
        ...

    def reserve(self, slots: Sequence[int], positions: int) -> None:
        """Let these neighbours have room for `positions` tokens each, instead of `capacity`, until they are released.

        What they held is lost. Slots whose memory grows as they are filled need no such thing.
        """
        ...

    def copy(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` positions of a slot to another one."""
        ...

    def release(self, slot: int) -> None:
        """Give the slot's memory back to the system. What it holds is lost."""
        ...

    def close(self) -> None:
        """Release everything; the caller makes no more calls."""
        ...


class Engine(Protocol):
    """A model.

    What a request has to know before its turn comes is always in memory. The weights, which are large, come and go.
    """

    kind: str
    name: str
    n_ctx: int
    """The window: the most tokens that the model can attend to."""
    end: EndMarker
    profile: Profile
    max_positions: int
    """The most rows × positions of one request, so that none takes all the memory."""

    weight_bytes: int
    """Memory that the weights take, as far as it matters for what else fits."""

    @property
    def tokenizer(self) -> Tokenizer: ...

    shares_passes: bool
    """Whether a text is the same to the bit whoever shares its passes, however its prompt is cut, and with a prefix copied.

    Where it is not, a pass has the texts of one request only, all of them at the same position, or a piece of one prompt.
    """

    def load(self) -> None:
        """Load the weights, unless they are in memory. Takes a while, so call it on a thread. Raises FatalError."""
        ...

    def free(self) -> None:
        """Free the weights. All slots have been closed."""
        ...

    def slots(self, count: int, positions: int) -> Slots:
        """Slots for `count` texts of up to `positions` ≤ n_ctx tokens. They take memory as they are filled.

        Loads the weights if need be, as `load` does.
        """
        ...

    def slot_bytes(self, positions: int) -> int:
        """Memory that one slot takes with this many positions filled."""
        ...


def start_tokens(engine: Engine, prompt: str) -> list[int]:
    """The tokens of a prompt, as the model expects a document to begin; at least one."""
    return begin(engine, engine.tokenizer.encode(prompt))


def begin(engine: Engine, tokens: list[int]) -> list[int]:
    """The tokens of a prompt with what comes before a document.

    In training with an end-of-text token, that token comes before each document, so it comes first here too. A model that learned
    gpt-2-simple's end string gets the bare prompt; for an empty prompt, the end-of-text token, as in gpt-2-simple.
    """
    if engine.end.token is not None:
        return [engine.end.token, *tokens]
    return tokens or [engine.tokenizer.end_of_text or 0]
