"""GPT-2 in Keras, for training: gpt-2-simple's network and names, on TensorFlow or JAX.

    model = GPT2(hparams)
    model.load(weights)                  # as finetune.checkpoint.read_weights returns them
    hidden = model(inputs)               # [batch, length, n_embd]
    logits = model.head(hidden)          # [batch, length, n_vocab]

Packing needs attention that stays within each document of a row, and positions that restart with it; KerasHub's GPT-2 has
neither. Attention and the loss over the vocabulary are modules of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from app.engine.bundle import Hparams
from finetune.training.attention import Attend, plain_attention
from finetune.training.cross_entropy import cross_entropy

Array = NDArray[np.float32]
Tensor = Any
PIECE_TOKENS = 1024
"""Tokens whose logits are in memory at the same time, unless a device has more room."""


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

    def call(self, x: Tensor, attend: Attend) -> Tensor:
        """[batch, length, n_embd] → the same shape."""
        query, key, value = (self.split(part) for part in ops.split(self.c_attn(cheap(self.ln_1)(x)), 3, axis=-1))
        x += self.attn_c_proj(self.merge(attend(query, key, value)))
        return x + self.mlp_c_proj(cheap(gelu)(self.c_fc(cheap(self.ln_2)(x))))

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

    def __init__(
        self,
        hparams: Hparams,
        *,
        attention: Callable[[Tensor], Attend] | None = None,
        remat: bool = False,
        unlikelihood: float = 0.0,
        end: int = -1,
    ) -> None:
        """A model with weights yet to be loaded.

        Args:
            hparams: the shape
            attention: makes the attention of rows with these segments; by default the plain one
            remat: gradient checkpointing
            unlikelihood: the weight of that loss
            end: the token that is exempt from it
        """
        super().__init__(name="gpt2")
        self.hparams = hparams
        self.attention = attention or recomputed_plain_attention
        self.piece_tokens = PIECE_TOKENS
        self.multiple = 1
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
        attend = self.attention(segments)
        for block in self.blocks:
            x = recompute(partial(block.__call__, attend=attend), self.remat)(x)
        return self.ln_f(x)

    def head(self, hidden: Tensor) -> Tensor:
        """The logits, in float32: [..., n_embd] → [..., n_vocab]. The projection is the transposed token embedding."""
        table = ops.cast(self.wte.embeddings, hidden.dtype)
        return ops.cast(ops.matmul(hidden, ops.transpose(table)), "float32")

    def mean_loss(
        self, inputs: Mapping[str, Tensor], targets: Tensor, weights: Tensor, counted: Tensor, *, training: bool
    ) -> Tensor:
        """Cross-entropy in nats, plus the unlikelihood loss in training: the weighted sum over all targets, divided by `counted`.

        The loss mask `weights` is [batch, length], as the targets are, and `counted` a number.
        """
        hidden = self(inputs)
        if training and self.unlikelihood:
            return self.loss_with_unlikelihood(hidden, inputs, targets, weights) / counted
        piece = self.piece(targets)
        table = self.wte.embeddings
        return cross_entropy(hidden, table, targets, weights, piece=piece, multiple=self.multiple) / counted

    def piece(self, targets: Tensor) -> int:
        """How many positions of each row have their logits in memory at the same time."""
        return max(1, self.piece_tokens // (targets.shape[0] or 1))

    def loss_with_unlikelihood(
        self, hidden: Tensor, inputs: Mapping[str, Tensor], targets: Tensor, weights: Tensor
    ) -> Tensor:
        """The weighted sum of both losses, in pieces whose logits are computed again in the backward pass."""
        total, piece = 0.0, self.piece(targets)
        for start in range(0, targets.shape[1], piece):
            part = slice(start, start + piece)
            loss = partial(
                self.unlikelihood_loss,
                tokens=inputs["tokens"],
                negatives=negative_tokens(inputs, targets, part, self.end),
                targets=targets[:, part],
                weights=weights[:, part],
            )
            total += recompute(loss, remat=True)(hidden[:, part])
        return total

    def unlikelihood_loss(
        self, hidden: Tensor, tokens: Tensor, negatives: Tensor, targets: Tensor, weights: Tensor
    ) -> Tensor:
        """The weighted sum of the losses of a piece.

        hidden [batch, piece, n_embd], targets and weights [batch, piece], tokens [batch, length], and which of them are
        negatives at each position, [batch, piece, length].
        """
        logits = self.head(hidden)
        log_total = ops.logsumexp(logits, axis=-1)
        loss = log_total - ops.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
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


def gelu(x: Tensor) -> Tensor:
    return keras.activations.gelu(x, approximate=True)


def cheap(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A function that JAX computes again in the backward pass, within the operations that need it.

    Its intermediate results are five times as large as its argument, and reading them would take longer. TensorFlow has no
    such fusion.
    """
    return recompute(partial(function), remat=keras.config.backend() == "jax")  # JAX takes a function, not a layer.


def recomputed_plain_attention(segments: Tensor) -> Attend:
    """Plain attention, recomputed in the backward pass: stored for all layers, its weights would be most of the memory."""
    return recompute(plain_attention(segments), remat=True)


def recompute(function: Callable[..., Tensor], remat: bool) -> Callable[..., Tensor]:
    """Gradient checkpointing: recompute the function in the backward pass instead of storing its activations."""
    # Integer arguments must be bound beforehand: on TensorFlow, keras.remat takes functions of floats only.
    return keras.remat(function) if remat else function


def negative_tokens(x: Mapping[str, Tensor], targets: Tensor, piece: slice, end: int) -> Tensor:
    """The negative candidates of the unlikelihood loss: which earlier tokens a position should not repeat.

    Returns a mask [batch, piece, length]. As in the token-level loss of arXiv 1908.04319, the candidates are the set of all
    earlier tokens of the document without the target. A token that occurred several times counts once, where it occurred
    first. The end of text is never a candidate.
    """
    tokens, segments = x["tokens"], x["segments"]
    positions = ops.arange(tokens.shape[1])
    same = segments[:, :, None] == segments[:, None, :]
    again = (tokens[:, :, None] == tokens[:, None, :]) & same & (positions[:, None] > positions[None, :])[None]
    first = ~ops.any(again, axis=-1) & (tokens != end)
    earlier = same[:, piece] & (positions[piece, None] >= positions[None, :])[None]
    return earlier & first[:, None, :] & (tokens[:, None, :] != targets[:, piece, None])
