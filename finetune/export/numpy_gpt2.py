"""GPT-2 written out in NumPy, in float32: the reference for a bundle where TensorFlow is not installed.

It follows the formulas of OpenAI's model.py and shares no code with the ONNX graph. Tests hold it against gpt-2-simple.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from app.engine.bundle import Hparams
from finetune.checkpoint import Array

EPSILON = np.float32(1e-5)


def all_logits(hparams: Hparams, weights: Mapping[str, Array], tokens: NDArray[np.int64]) -> Array:
    """The logits after each of the tokens [n] of one text, 1 ≤ n ≤ n_ctx, [n, n_vocab]."""
    x = weights["wte"][tokens] + weights["wpe"][: len(tokens)]
    for layer in range(hparams.n_layer):
        block = f"h{layer}"
        x = x + attend(norm(x, weights, f"{block}/ln_1"), weights, f"{block}/attn", hparams.n_head)
        hidden = gelu(project(norm(x, weights, f"{block}/ln_2"), weights, f"{block}/mlp/c_fc"))
        x = x + project(hidden, weights, f"{block}/mlp/c_proj")
    logits: Array = norm(x, weights, "ln_f") @ weights["wte"].T
    return logits


def norm(x: Array, weights: Mapping[str, Array], name: str) -> Array:
    """Layer normalization."""
    centred = x - x.mean(axis=-1, keepdims=True)
    scaled: Array = centred / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + EPSILON)
    return scaled * weights[f"{name}/g"] + weights[f"{name}/b"]


def project(x: Array, weights: Mapping[str, Array], name: str) -> Array:
    product: Array = x @ weights[f"{name}/w"][0]
    return product + weights[f"{name}/b"]


def attend(x: Array, weights: Mapping[str, Array], name: str, heads: int) -> Array:
    """Causal self-attention of x [n, n_embd]."""
    n, width = x.shape
    queries, keys, values = project(x, weights, f"{name}/c_attn").reshape(n, 3, heads, -1).transpose(1, 2, 0, 3)
    scores = queries @ keys.transpose(0, 2, 1) / np.sqrt(np.float32(width // heads))
    scores[:, np.triu(np.ones((n, n), bool), 1)] = -np.inf
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    mixed = shares / shares.sum(axis=-1, keepdims=True) @ values
    return project(mixed.transpose(1, 0, 2).reshape(n, width), weights, f"{name}/c_proj")


def gelu(x: Array) -> Array:
    """OpenAI's approximation of the GELU by tanh."""
    cubic = x + np.float32(0.044715) * x * x * x
    smooth: Array = np.float32(0.5) * x * (1 + np.tanh(np.float32(np.sqrt(2 / np.pi)) * cubic))
    return smooth
