"""What a case on a GPU is: a program, a model's shape, and rows. How its operations and its speed are counted."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from app.engine.bundle import Hparams

Program = Literal["ours", "transformers", "transformers-tuned", "jax", "torch"]
Rows = Literal["full", "packed", "product"]
Figures = dict[str, Any]
SHAPES = {
    "124M": Hparams(n_vocab=50257, n_ctx=1024, n_embd=768, n_head=12, n_layer=12),
    "355M": Hparams(n_vocab=50257, n_ctx=1024, n_embd=1024, n_head=16, n_layer=24),
}
TINY = Hparams(n_vocab=512, n_ctx=64, n_embd=32, n_head=2, n_layer=2)
BATCHES = 8
"""So many different batches are there. After the last one ours are shuffled again, and the peer's are taken again."""


@dataclass(frozen=True)
class Scale:
    """How large and how long: everything, or with --tiny what a CPU does in moments."""

    shapes: dict[str, Hparams]
    seconds: float
    product: int


FULL_SCALE = Scale(SHAPES, seconds=2.0, product=8192)
TINY_SCALE = Scale(dict.fromkeys(SHAPES, TINY), seconds=0.1, product=256)


@dataclass(frozen=True)
class Case:
    """One row of the table: a program that trains, or the product of two large matrices through one library."""

    program: Program
    model: str
    precision: Literal["bfloat16", "float32"]
    rows: Rows
    batch: int

    @property
    def name(self) -> str:
        return "-".join(str(value) for value in dataclasses.astuple(self) if value)


def document_lengths(rows: Rows, tokens: int, window: int) -> NDArray[np.int64]:
    """The lengths of at least this many tokens of documents.

    Full rows are documents as long as the window. Packed documents are ragged: log-normal, with a median of 60 tokens where
    the window is 1,024, as comments have.
    """
    if rows == "full":
        return np.full(-(-tokens // window), window)
    median = window * 60 / 1024
    drawn = np.random.default_rng(0).lognormal(math.log(median), 0.8, int(2 * tokens / median))
    lengths = np.clip(drawn, 2, window).astype(np.int64)
    return lengths[: int(np.searchsorted(np.cumsum(lengths), tokens)) + 1]


def timed(step: Callable[[int], Any], seconds: float) -> Figures:
    """Steps for about so many seconds. They are sent off one after the other, and only the last loss is waited for."""
    tried = []
    for number in (1, 2):
        began = time.perf_counter()
        float(step(number))
        tried.append(time.perf_counter() - began)
    steps = max(3, round(seconds / min(tried)))
    began = time.perf_counter()
    for number in range(steps):
        loss = step(number)
    last = float(loss)
    taken = time.perf_counter() - began
    if not math.isfinite(last):
        raise ArithmeticError(f"the loss is {last} after {steps} steps")
    return {"step_ms": 1000 * taken / steps, "steps": steps, "last_loss": last}


def rates(figures: Figures, tokens: float, flops: float) -> Figures:
    """Tokens and operations a second, from the tokens of a step and the operations of a token."""
    speed = tokens / (figures["step_ms"] / 1000)
    return {"tokens_per_s": speed, "tflops": speed * flops / 1e12}
