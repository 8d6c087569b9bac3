"""The contract of an engine: what computes logits, and what everything else may rely on.

An `Engine` is a model. A `Decoder` holds the state of one generation: a batch of one or more texts. There are three
implementations: `onnx` serves, `tensorflow` is gpt-2-simple itself, to compare with, and `fake` has known logits, for tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.engine.bundle import EndMarker
from app.engine.deadline import NEVER, Deadline
from app.engine.profile import Profile
from app.engine.tokenizer import Tokenizer

Tokens = NDArray[np.int64]
"""Token ids, [n] or [rows, n]."""
Logits = NDArray[np.float32]
"""Logits, [n_vocab] or [rows, n_vocab]."""


class Decoder(Protocol):
    """A batch of texts, all of the same number of tokens. Logits are those of the token that comes next."""

    def prefill(self, tokens: Tokens, deadline: Deadline = NEVER) -> Logits:
        """Start over with tokens [rows, n], 1 ≤ n ≤ n_ctx. Returns logits [rows, n_vocab], valid until the next call.

        Raises DeadlinePassed between two chunks. The only call that may follow is `close`.
        """
        ...

    def step(self, tokens: Tokens) -> Logits:
        """Read one more token of each row, [rows]. Returns logits [rows, n_vocab], valid until the next call."""
        ...

    def close(self) -> None:
        """Release the decoder; the caller makes no more calls."""
        ...


class Engine(Protocol):
    """A model. Several threads may use it at once, each with its own decoder.

    What a request has to know before its turn comes is always in memory. The weights, which are large, come and go.
    """

    kind: str
    name: str
    n_ctx: int
    """The window: the most tokens that the model can attend to."""
    end: EndMarker
    profile: Profile
    max_positions: int
    """The most rows × positions of one decoder, so that no request takes all the memory."""

    weight_bytes: int
    """Memory that the weights take, as far as it matters for what else fits."""

    @property
    def tokenizer(self) -> Tokenizer: ...

    def load(self) -> None:
        """Load the weights, unless they are in memory. Takes a while, so call it on a thread. Raises FatalError."""
        ...

    def free(self) -> None:
        """Free the weights. All decoders have been closed."""
        ...

    def decoder(self, rows: int, positions: int, reuse: bool = False) -> Decoder:
        """A decoder for `rows` texts of up to `positions` ≤ n_ctx tokens. With `reuse` it may use the prefix cache.

        Loads the weights if need be, as `load` does.
        """
        ...

    def decoder_bytes(self, rows: int, positions: int, reuse: bool = False) -> int:
        """Memory that such a decoder takes."""
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


def as_rows(tokens: Sequence[int], rows: int) -> Tokens:
    """The same tokens in each row, [rows, n]."""
    return np.tile(np.asarray(tokens, np.int64), (rows, 1))
