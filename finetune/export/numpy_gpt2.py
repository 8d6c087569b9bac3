"""GPT-2 written out in NumPy, in float32: the reference for a bundle where TensorFlow is not installed.

It follows the formulas of OpenAI's model.py and shares no code with the ONNX graph. Tests hold it against gpt-2-simple.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from app.engine.bundle import Hparams
from finetune.checkpoint import Array

EPSILON = np.float32(1e-5)
See = Callable[[str, Array], None]
"""Is shown what leaves each layer norm and projection, by its name."""


def see_nothing(name: str, x: Array) -> None:
    pass


def all_logits(
    hparams: Hparams, weights: Mapping[str, Array], tokens: NDArray[np.int64], see: See = see_nothing
) -> Array:
    """The logits after each of the tokens [n] of one text, 1 ≤ n ≤ n_ctx, [n, n_vocab]."""

    def norm(x: Array, name: str) -> Array:
        normalized = normalize(x, weights, name)
        see(name, normalized)
        return normalized

    def project(x: Array, name: str) -> Array:
        product: Array = x @ weights[f"{name}/w"][0] + weights[f"{name}/b"]
        see(name, product)
        return product

    x = weights["wte"][tokens] + weights["wpe"][: len(tokens)]
    for layer in range(hparams.n_layer):
        block = f"h{layer}"
        x = x + project(
            attend(project(norm(x, f"{block}/ln_1"), f"{block}/attn/c_attn"), hparams.n_head), f"{block}/attn/c_proj"
        )
        hidden = gelu(project(norm(x, f"{block}/ln_2"), f"{block}/mlp/c_fc"))
        x = x + project(hidden, f"{block}/mlp/c_proj")
    logits: Array = norm(x, "ln_f") @ weights["wte"].T
    return logits


def normalize(x: Array, weights: Mapping[str, Array], name: str) -> Array:
    """Layer normalization."""
    centred = x - x.mean(axis=-1, keepdims=True)
    scaled: Array = centred / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + EPSILON)
    return scaled * weights[f"{name}/g"] + weights[f"{name}/b"]


def attend(qkv: Array, heads: int) -> Array:
    """Causal self-attention of queries, keys and values [n, 3 * n_embd]: [n, n_embd]."""
    n = len(qkv)
    queries, keys, values = qkv.reshape(n, 3, heads, -1).transpose(1, 2, 0, 3)
    scores = queries @ keys.transpose(0, 2, 1) / np.sqrt(np.float32(queries.shape[-1]))
    scores[:, np.triu(np.ones((n, n), bool), 1)] = -np.inf
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    mixed = shares / shares.sum(axis=-1, keepdims=True) @ values
    together: Array = mixed.transpose(1, 0, 2).reshape(n, -1)
    return together


def gelu(x: Array) -> Array:
    """OpenAI's approximation of the GELU by tanh."""
    cubic = x + np.float32(0.044715) * x * x * x
    smooth: Array = np.float32(0.5) * x * (1 + np.tanh(np.float32(np.sqrt(2 / np.pi)) * cubic))
    return smooth
