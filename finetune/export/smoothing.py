"""Smoothing: evens out what leaves a layer norm, so that rounding it costs little.

GPT-2 has channels that are far larger than all others. Where a token's activations share a scale, such a channel leaves the
others few steps. A layer norm's gain and bias can be divided by any factors, channel by channel, if the weights that read it are
multiplied by them: the model stays the same function. The factors are those of SmoothQuant (Xiao et al., 2023), which share
the burden between activations and weights.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from finetune.checkpoint import Array

READERS = {"ln_1": "attn/c_attn", "ln_2": "mlp/c_fc"}
"""Which projection reads a layer norm."""
LEAST = 1e-5
STANDS_OUT = 2
"""A channel is evened out where its factor is more than this many times as large as the median."""


def smooth(weights: Mapping[str, Array], norms: Mapping[str, Array]) -> dict[str, Array]:
    """The weights of the same function. `norms` has the largest value of each channel that leaves each layer norm."""
    changed = dict(weights)
    for name, largest in norms.items():
        layer, _, norm = name.rpartition("/")
        reader = f"{layer}/{READERS[norm]}/w"
        of_weights = np.abs(weights[reader][0]).max(axis=1)
        factors = np.sqrt(np.maximum(largest, LEAST) / np.maximum(of_weights, LEAST)).astype(np.float32)
        # Only channels that stand out: the others' weights would lose more than their activations gain.
        factors = np.maximum(factors / (STANDS_OUT * np.median(factors)), np.float32(1))
        for part in ("g", "b"):
            changed[f"{name}/{part}"] = weights[f"{name}/{part}"] / factors
        changed[reader] = weights[reader] * factors[:, np.newaxis]
    return changed
