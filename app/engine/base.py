"""The contract between whatever computes logits and everything else.

An `Engine` is a model ready to run; a `Decoder` is one text (or several side by side) being written with it.
Three implementations: `onnx` serves, `tensorflow` is gpt-2-simple itself for comparison, `fake` has known logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.engine.bundle import EndMarker, Template
from app.engine.tokenizer import Tokenizer

Tokens = NDArray[np.int64]
Logits = NDArray[np.float32]


class Decoder(Protocol):
    """Rows of text in step with each other. Logits are those of the token after the last one fed in."""

    def prefill(self, tokens: Tokens) -> Logits:
        """Begin anew with tokens [rows, n], 1 ≤ n ≤ n_ctx. Returns logits [rows, n_vocab], valid until the next call."""
        ...

    def step(self, tokens: Tokens) -> Logits:
        """Add one token to each row, [rows]. Returns logits [rows, n_vocab], valid until the next call."""
        ...

    def close(self) -> None:
        """Nothing more will be written with it."""
        ...


class Engine(Protocol):
    """A model that is loaded. Safe to use from several threads, one decoder each."""

    kind: str
    name: str
    n_ctx: int
    tokenizer: Tokenizer
    end: EndMarker
    template: Template
    max_positions: int
    """Rows times positions that one decoder may hold: what keeps a request from taking all the memory."""

    def decoder(self, rows: int, positions: int, reuse: bool = False) -> Decoder:
        """Room for `rows` texts of up to `positions` ≤ n_ctx tokens. With `reuse` it may go on from what others have read."""
        ...


def start_tokens(engine: Engine, prompt: str) -> list[int]:
    """The tokens to begin with for a prompt, never none.

    A model whose documents end with a real token saw that token before each document, so it comes first. One that
    knows only gpt-2-simple's string gets the bare prompt and, with no prompt, the end-of-text token, as gpt-2-simple does it.
    """
    tokens = engine.tokenizer.encode(prompt)
    if engine.end.token is not None:
        return [engine.end.token, *tokens]
    return tokens or [engine.tokenizer.end_of_text or 0]


def as_rows(tokens: Sequence[int], rows: int) -> Tokens:
    return np.tile(np.asarray(tokens, np.int64), (rows, 1))
