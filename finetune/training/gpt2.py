"""GPT-2 in Keras, for training: the same network as gpt-2-simple's, under the same variable names, on any Keras backend.

    model = GPT2(hparams)
    model.load(weights)                  # as finetune.checkpoint.read_weights gives them
    hidden = model(inputs)               # [batch, length, n_embd]
    logits = model.head(hidden)          # [batch, length, n_vocab]

KerasHub's GPT-2 has no place for what packing needs: an attention that stays within each document of a row and positions that
begin anew with it. The loss is computed in pieces along the row, since at GPT-2's vocabulary the logits of a whole window and
their gradients take more memory than all else that is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from app.engine.bundle import Hparams

Array = NDArray[np.float32]
Tensor = Any
PIECE = 1024
"""Tokens whose logits are held at once."""
UNSEEN = -3e4
"""Added to the score of what a position may not see; float16 holds it."""


class Block(layers.Layer):  # type: ignore[misc]
    """One of the layers: attention, then a perceptron, each added to what went in."""

    def __init__(self, hparams: Hparams, name: str) -> None:
        super().__init__(name=name)
        d = hparams.n_embd
        self.heads = hparams.n_head
        self.ln_1 = layers.LayerNormalization(epsilon=1e-5, name="ln_1")
        self.c_attn = layers.Dense(3 * d, name="attn_c_attn")
        self.attn_c_proj = layers.Dense(d, name="attn_c_proj")
        self.ln_2 = layers.LayerNormalization(epsilon=1e-5, name="ln_2")
        self.c_fc = layers.Dense(4 * d, name="mlp_c_fc")
        self.mlp_c_proj = layers.Dense(d, name="mlp_c_proj")

    def build(self, shape: tuple[int | None, ...]) -> None:
        d = shape[-1]
        for layer in (self.ln_1, self.c_attn, self.attn_c_proj, self.ln_2, self.c_fc):
            layer.build((None, None, d))
        self.mlp_c_proj.build((None, None, 4 * d if d else None))
        self.built = True

    def call(self, x: Tensor, bias: Tensor) -> Tensor:
        """Takes x [batch, length, n_embd] and bias [batch, 1, length, length]: far below 0 where not to look."""
        query, key, value = (self.split(part) for part in ops.split(self.c_attn(self.ln_1(x)), 3, axis=-1))
        # Recomputed in the backward pass: kept, the weights of all layers would be most of the memory that training takes.
        x += self.attn_c_proj(self.merge(recompute(partial(attend, bias=bias), remat=True)(query, key, value)))
        return x + self.mlp_c_proj(keras.activations.gelu(self.c_fc(self.ln_2(x)), approximate=True))

    def split(self, x: Tensor) -> Tensor:
        batch, length, d = ops.shape(x)
        return ops.reshape(x, (batch, length, self.heads, d // self.heads))

    def merge(self, x: Tensor) -> Tensor:
        batch, length, heads, size = ops.shape(x)
        return ops.reshape(x, (batch, length, heads * size))

    def projections(self) -> dict[str, layers.Dense]:
        """The matrices, under gpt-2-simple's names."""
        return {
            "attn/c_attn": self.c_attn,
            "attn/c_proj": self.attn_c_proj,
            "mlp/c_fc": self.c_fc,
            "mlp/c_proj": self.mlp_c_proj,
        }


class GPT2(keras.Model):  # type: ignore[misc]
    """Takes {"tokens", "positions", "segments"}, each [batch, length]. A position sees those before it of its own segment."""

    def __init__(self, hparams: Hparams, *, remat: bool = False, unlikelihood: float = 0.0, end: int = -1) -> None:
        """`remat` recomputes each layer in the backward pass. `unlikelihood` weighs that loss; `end` is exempt from it."""
        super().__init__(name="gpt2")
        self.hparams = hparams
        self.remat = remat
        self.unlikelihood = unlikelihood
        self.end = end
        self.wte = layers.Embedding(hparams.n_vocab, hparams.n_embd, name="wte")
        self.wpe = layers.Embedding(hparams.n_ctx, hparams.n_embd, name="wpe")
        self.blocks = [Block(hparams, f"h{layer}") for layer in range(hparams.n_layer)]
        self.ln_f = layers.LayerNormalization(epsilon=1e-5, name="ln_f")
        shape = (None, None, hparams.n_embd)
        for layer in (self.wte, self.wpe):
            layer.build((None, None))
        for layer in (*self.blocks, self.ln_f):
            layer.build(shape)
        self.built = True

    def call(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """The last layer's output, normalized: [batch, length, n_embd]."""
        segments = inputs["segments"]
        x = self.wte(inputs["tokens"]) + self.wpe(inputs["positions"])
        seen = (segments[:, None, :, None] == segments[:, None, None, :]) & causal(segments)
        bias = ops.where(seen, 0.0, UNSEEN)
        for block in self.blocks:
            x = recompute(partial(block.__call__, bias=bias), self.remat)(x)
        return self.ln_f(x)

    def head(self, hidden: Tensor) -> Tensor:
        """Logits in 32 bits: [..., n_embd] → [..., n_vocab]."""
        table = ops.cast(self.wte.embeddings, hidden.dtype)
        return ops.cast(ops.matmul(hidden, ops.transpose(table)), "float32")

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        """Nats per token: the mean over targets y [batch, length] under weights [batch, length]."""
        rows, length = y.shape
        step = max(1, PIECE // (rows or 1))
        total = 0.0
        for start in range(0, length, step):
            piece = slice(start, min(start + step, length))
            of_piece = partial(self.piece_loss, targets=y[:, piece], weights=sample_weight[:, piece])
            if training and self.unlikelihood:
                of_piece = partial(of_piece, candidates=repeatable(x, y, piece, self.end), tokens=x["tokens"])
            total += recompute(of_piece, remat=step < length)(y_pred[:, piece])
        return total / ops.maximum(ops.sum(sample_weight), 1.0)

    def piece_loss(
        self, hidden: Tensor, targets: Tensor, weights: Tensor, candidates: Tensor = None, tokens: Tensor = None
    ) -> Tensor:
        """The weighted sum of a piece's losses; with candidates [batch, piece, length], of unlikelihood too."""
        logits = self.head(hidden)
        surprise = ops.logsumexp(logits, axis=-1)
        loss = surprise - ops.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
        if candidates is not None:
            rows = ops.broadcast_to(tokens[:, None, :], ops.shape(candidates))
            likely = ops.exp(ops.take_along_axis(logits, rows, axis=-1) - surprise[..., None])
            penalty = -ops.log(ops.maximum(1.0 - likely, 1e-5))
            loss += self.unlikelihood * ops.sum(ops.where(candidates, penalty, 0.0), axis=-1)
        return ops.sum(loss * weights)

    def named(self) -> Iterator[tuple[str, layers.Layer, str]]:
        """Every variable: its name in a checkpoint, the layer it belongs to, its attribute there."""
        yield "wte", self.wte, "embeddings"
        yield "wpe", self.wpe, "embeddings"
        for block in self.blocks:
            for norm in (block.ln_1, block.ln_2):
                yield f"{block.name}/{norm.name}/g", norm, "gamma"
                yield f"{block.name}/{norm.name}/b", norm, "beta"
            for name, dense in block.projections().items():
                yield f"{block.name}/{name}/w", dense, "kernel"
                yield f"{block.name}/{name}/b", dense, "bias"
        yield "ln_f/g", self.ln_f, "gamma"
        yield "ln_f/b", self.ln_f, "beta"

    def load(self, weights: Mapping[str, Array]) -> None:
        """Take a checkpoint's weights. To be done before LoRA is enabled."""
        for name, layer, attribute in self.named():
            variable = getattr(layer, attribute)
            variable.assign(weights[name].reshape(variable.shape))

    def weights_of_checkpoint(self) -> dict[str, Array]:
        """All weights under their names and in their shapes in a checkpoint, LoRA's products added in."""
        weights = {}
        for name, layer, attribute in self.named():
            array = ops.convert_to_numpy(getattr(layer, attribute)).astype(np.float32)
            weights[name] = array[None] if name.endswith("/w") else array
        return weights


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """Each [batch, length, heads, size]. Probabilities are computed in 32 bits."""
    scores = ops.einsum("bqhd,bkhd->bhqk", query, key) * (1 / math.sqrt(query.shape[-1]))
    weights = ops.softmax(ops.cast(scores, "float32") + ops.cast(bias, "float32"), axis=-1)
    return ops.einsum("bhqk,bkhd->bqhd", ops.cast(weights, value.dtype), value)


def causal(segments: Tensor) -> Tensor:
    """[1, 1, length, length], true at and below the diagonal."""
    places = ops.arange(segments.shape[1])
    return (places[:, None] >= places[None, :])[None, None]


def recompute(function: Callable[..., Tensor], remat: bool) -> Callable[..., Tensor]:
    # What the function takes besides is bound to it: TensorFlow recomputes functions of floats only.
    return keras.remat(function) if remat else function


def repeatable(x: Mapping[str, Tensor], targets: Tensor, piece: slice, end: int) -> Tensor:
    """Which earlier tokens of its document each position of a piece should not repeat: [batch, piece, length].

    As arXiv 1908.04319 defines the token-level loss: the set of all tokens before, less the one that is right here. A
    set, so a token counts once, where it came first. The end of text is no repetition, however often it came.
    """
    tokens, segments = x["tokens"], x["segments"]
    places = ops.arange(tokens.shape[1])
    same = segments[:, :, None] == segments[:, None, :]
    again = (tokens[:, :, None] == tokens[:, None, :]) & same & (places[:, None] > places[None, :])[None]
    first = ~ops.any(again, axis=-1) & (tokens != end)
    seen = same[:, piece] & (places[piece, None] >= places[None, :])[None]
    return seen & first[:, None, :] & (tokens[:, None, :] != targets[:, piece, None])
