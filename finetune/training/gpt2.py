"""GPT-2 in Keras, for training: gpt-2-simple's network and names, on TensorFlow or JAX.

    model = GPT2(hparams)
    model.load(weights)                  # as finetune.checkpoint.read_weights returns them
    hidden = model(inputs)               # [batch, length, n_embd]
    logits = model.head(hidden)          # [batch, length, n_vocab]

Packing needs attention that stays within each document of a row, and positions that restart with it; KerasHub's GPT-2 has
neither. The loss is computed in chunks along the row: with GPT-2's vocabulary, the logits of a whole window and their
gradients would take more memory than all other activations.
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
CHUNK_TOKENS = 1024
"""Tokens whose logits are in memory at the same time."""
MASKED = -3e4
"""Added to masked attention scores. Within float16's range, unlike the usual -1e9."""


class Block(layers.Layer):  # type: ignore[misc]
    """One transformer layer: causal self-attention and an MLP, each after a layer norm and with a residual connection."""

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
        """[batch, length, n_embd] → the same shape. `bias` [batch, 1, length, length] is MASKED where attention is masked."""
        query, key, value = (self.split(part) for part in ops.split(self.c_attn(self.ln_1(x)), 3, axis=-1))
        # Attention is recomputed in the backward pass: stored for all layers, its weights would be most of the memory.
        x += self.attn_c_proj(self.merge(recompute(partial(attend, bias=bias), remat=True)(query, key, value)))
        return x + self.mlp_c_proj(keras.activations.gelu(self.c_fc(self.ln_2(x)), approximate=True))

    def split(self, x: Tensor) -> Tensor:
        """[batch, length, n_embd] → [batch, length, heads, size]."""
        batch, length, d = ops.shape(x)
        return ops.reshape(x, (batch, length, self.heads, d // self.heads))

    def merge(self, x: Tensor) -> Tensor:
        """[batch, length, heads, size] → [batch, length, n_embd]."""
        batch, length, heads, size = ops.shape(x)
        return ops.reshape(x, (batch, length, heads * size))

    def projections(self) -> dict[str, layers.Dense]:
        """The four projections, under their names in a checkpoint."""
        return {
            "attn/c_attn": self.c_attn,
            "attn/c_proj": self.attn_c_proj,
            "mlp/c_fc": self.c_fc,
            "mlp/c_proj": self.mlp_c_proj,
        }


class GPT2(keras.Model):  # type: ignore[misc]
    """Takes {"tokens", "positions", "segments"}, each [batch, length]. Attention is causal and within one segment."""

    def __init__(self, hparams: Hparams, *, remat: bool = False, unlikelihood: float = 0.0, end: int = -1) -> None:
        """`remat`: gradient checkpointing. `unlikelihood`: the weight of that loss, from which the token `end` is exempt."""
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
        """The last layer's output after the final layer norm, [batch, length, n_embd]."""
        segments = inputs["segments"]
        x = self.wte(inputs["tokens"]) + self.wpe(inputs["positions"])
        visible = (segments[:, None, :, None] == segments[:, None, None, :]) & causal(segments)
        bias = ops.where(visible, 0.0, MASKED)
        for block in self.blocks:
            x = recompute(partial(block.__call__, bias=bias), self.remat)(x)
        return self.ln_f(x)

    def head(self, hidden: Tensor) -> Tensor:
        """The logits, in float32: [..., n_embd] → [..., n_vocab]. The projection is the transposed token embedding."""
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
        """Cross-entropy in nats per token, plus the unlikelihood loss in training.

        The mean over the targets y [batch, length], weighted by the loss mask sample_weight [batch, length]. x are the
        inputs, and y_pred the hidden states [batch, length, n_embd]. x["counted"] [batch], if it is there, is the number of
        targets to divide by instead: with gradient accumulation, the mean number of the step's batches.
        """
        rows, length = y.shape
        step = max(1, CHUNK_TOKENS // (rows or 1))
        total = 0.0
        for start in range(0, length, step):
            chunk = slice(start, min(start + step, length))
            chunk_loss = partial(self.chunk_loss, targets=y[:, chunk], weights=sample_weight[:, chunk])
            if training and self.unlikelihood:
                chunk_loss = partial(chunk_loss, negatives=negative_tokens(x, y, chunk, self.end), tokens=x["tokens"])
            total += recompute(chunk_loss, remat=step < length)(y_pred[:, chunk])
        counted = ops.mean(x["counted"]) if "counted" in x else ops.maximum(ops.sum(sample_weight), 1.0)
        return total / counted

    def chunk_loss(
        self, hidden: Tensor, targets: Tensor, weights: Tensor, negatives: Tensor = None, tokens: Tensor = None
    ) -> Tensor:
        """The weighted sum of the losses of a chunk.

        hidden [batch, chunk, n_embd], targets and weights [batch, chunk]. For the unlikelihood loss also tokens
        [batch, length] and which of them are negatives at each position, [batch, chunk, length].
        """
        logits = self.head(hidden)
        log_total = ops.logsumexp(logits, axis=-1)
        loss = log_total - ops.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
        if negatives is not None:
            rows = ops.broadcast_to(tokens[:, None, :], ops.shape(negatives))
            probabilities = ops.exp(ops.take_along_axis(logits, rows, axis=-1) - log_total[..., None])
            penalty = -ops.log(ops.maximum(1.0 - probabilities, 1e-5))
            loss += self.unlikelihood * ops.sum(ops.where(negatives, penalty, 0.0), axis=-1)
        return ops.sum(loss * weights)

    def named(self) -> Iterator[tuple[str, layers.Layer, str]]:
        """Every variable: its name in a checkpoint, its layer, and its attribute of that layer."""
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
        """Assign a checkpoint's weights. Call this before LoRA is enabled."""
        for name, layer, attribute in self.named():
            variable = getattr(layer, attribute)
            variable.assign(weights[name].reshape(variable.shape))

    def weights_of_checkpoint(self) -> dict[str, Array]:
        """All weights, with the names and shapes of a checkpoint and LoRA adapters merged in."""
        weights = {}
        for name, layer, attribute in self.named():
            array = ops.convert_to_numpy(getattr(layer, attribute)).astype(np.float32)
            weights[name] = array[None] if name.endswith("/w") else array
        return weights


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """Scaled dot-product attention. All [batch, length, heads, size]. The softmax is in float32."""
    scores = ops.einsum("bqhd,bkhd->bhqk", query, key) * (1 / math.sqrt(query.shape[-1]))
    weights = ops.softmax(ops.cast(scores, "float32") + ops.cast(bias, "float32"), axis=-1)
    return ops.einsum("bhqk,bkhd->bqhd", ops.cast(weights, value.dtype), value)


def causal(segments: Tensor) -> Tensor:
    """The causal mask, [1, 1, length, length]: true at and below the diagonal."""
    positions = ops.arange(segments.shape[1])
    return (positions[:, None] >= positions[None, :])[None, None]


def recompute(function: Callable[..., Tensor], remat: bool) -> Callable[..., Tensor]:
    """Gradient checkpointing: recompute the function in the backward pass instead of storing its activations."""
    # Integer arguments must be bound beforehand: on TensorFlow, keras.remat takes functions of floats only.
    return keras.remat(function) if remat else function


def negative_tokens(x: Mapping[str, Tensor], targets: Tensor, chunk: slice, end: int) -> Tensor:
    """The negative candidates of the unlikelihood loss: which earlier tokens a position should not repeat.

    Returns a mask [batch, chunk, length]. As in the token-level loss of arXiv 1908.04319, the candidates are the set of all
    earlier tokens of the document without the target. A token that occurred several times counts once, where it occurred
    first. The end of text is never a candidate.
    """
    tokens, segments = x["tokens"], x["segments"]
    positions = ops.arange(tokens.shape[1])
    same = segments[:, :, None] == segments[:, None, :]
    again = (tokens[:, :, None] == tokens[:, None, :]) & same & (positions[:, None] > positions[None, :])[None]
    first = ~ops.any(again, axis=-1) & (tokens != end)
    earlier = same[:, chunk] & (positions[chunk, None] >= positions[None, :])[None]
    return earlier & first[:, None, :] & (tokens[:, None, :] != targets[:, chunk, None])
