"""GPT-2 in a page of NumPy: whole windows at once, in float32, with nothing but the weights of a checkpoint.

It reads the texts that `evaluate` measures surprise on, on any machine, and is the shortest full account of the network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from app.engine.bundle import Hparams

Array = NDArray[np.float32]
Read = Callable[[NDArray[np.int32]], Array]
"""Takes tokens [rows, n], n ≤ n_ctx. Returns the logits after each, [rows, n, n_vocab], which the caller may overwrite."""


def reader(hparams: Hparams, weights: Mapping[str, Array]) -> Read:
    """A function that reads with these weights."""

    def project(x: Array, name: str) -> Array:
        y: Array = x @ weights[f"{name}/w"][0]
        y += weights[f"{name}/b"]
        return y

    def norm(x: Array, name: str) -> Array:
        y: Array = x - x.mean(-1, keepdims=True)
        y /= np.sqrt((y * y).mean(-1, keepdims=True) + np.float32(1e-5))
        y *= weights[f"{name}/g"]
        y += weights[f"{name}/b"]
        return y

    def read(tokens: NDArray[np.int32]) -> Array:
        # Rows one after another, [rows * n, n_embd]: one large product is many times as fast as one for each row.
        x = (weights["wte"][tokens] + weights["wpe"][: tokens.shape[1]]).reshape(-1, hparams.n_embd)
        for layer in range(hparams.n_layer):
            h = f"h{layer}"
            qkv = project(norm(x, f"{h}/ln_1"), f"{h}/attn/c_attn").reshape(*tokens.shape, -1)
            x += project(attend(qkv, hparams.n_head).reshape(x.shape), f"{h}/attn/c_proj")
            x += project(gelu(project(norm(x, f"{h}/ln_2"), f"{h}/mlp/c_fc")), f"{h}/mlp/c_proj")
        logits: Array = norm(x, "ln_f") @ weights["wte"].T
        return logits.reshape(*tokens.shape, -1)

    return read


def attend(qkv: Array, heads: int) -> Array:
    """Each position looks at itself and those before it. Takes [rows, n, 3·n_embd], returns [rows, n, n_embd]."""
    rows, n, width = qkv.shape
    size = width // (3 * heads)
    query, key, value = qkv.reshape(rows, n, 3, heads, size).transpose(2, 0, 3, 1, 4)
    scores = query @ key.swapaxes(-1, -2)
    scores /= np.float32(np.sqrt(size))
    scores += np.triu(np.full((n, n), -np.inf, np.float32), 1)
    scores -= scores.max(-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(-1, keepdims=True)
    mixed: Array = (scores @ value).transpose(0, 2, 1, 3).reshape(rows, n, heads * size)
    return mixed


def gelu(x: Array) -> Array:
    """GPT-2's, by the tangent."""
    y: Array = x * x
    y *= np.float32(0.044715)
    y += np.float32(1)
    y *= x
    y *= np.float32(np.sqrt(2 / np.pi))
    np.tanh(y, out=y)
    y += np.float32(1)
    y *= x
    y *= np.float32(0.5)
    return y
