"""Ranges: the largest values that a model's channels take while it reads a text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.engine.bundle import Hparams
from finetune.checkpoint import Array
from finetune.export.numpy_gpt2 import all_logits

LEAST = 1e-5
ROOM = 1.25
"""How much further a channel may go than it went before it is clipped."""


class Ranges(NamedTuple):
    """Of each channel [n_embd] the largest absolute value."""

    norms: Mapping[str, Array]
    """What leaves the layer norms, by their names."""
    cached: Mapping[str, Array]
    """Keys and values, by the name of their layer's projection: [2 * n_embd]."""


def measure_ranges(hparams: Hparams, weights: Mapping[str, Array], tokens: NDArray[np.int64]) -> Ranges:
    """The ranges over a text [n], n ≤ n_ctx."""
    norms: dict[str, Array] = {}
    cached: dict[str, Array] = {}

    def see(name: str, x: Array) -> None:
        part = name.rpartition("/")[2]
        if part in {"ln_1", "ln_2"}:
            norms[name] = np.abs(x).max(axis=0)
        elif part == "c_attn":
            cached[name] = np.abs(x[:, hparams.n_embd :]).max(axis=0)

    all_logits(hparams, weights, tokens, see)
    return Ranges(norms, cached)


def cache_scales(hparams: Hparams, ranges: Ranges) -> list[tuple[Array, Array]]:
    """For each layer the scales of keys and values in a KV cache of 8 bits, with room for texts that go a little further."""
    scales = [
        np.maximum(ranges.cached[f"h{layer}/attn/c_attn"], LEAST) * (ROOM / 127) for layer in range(hparams.n_layer)
    ]
    return [(both[: hparams.n_embd].astype(np.float32), both[hparams.n_embd :].astype(np.float32)) for both in scales]
