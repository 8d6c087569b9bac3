"""Causal self-attention within the documents of a row: computed plainly, or by cuDNN's flash attention on JAX.

Both compute softmax(q·kᵀ / √size)·v, where a token sees itself and the earlier tokens of its own segment. The plain one has the
scores of all pairs of tokens in memory. Flash attention (arXiv 2205.14135) goes over them in tiles, forwards and backwards.
cuDNN knows three ways of keeping documents apart, and the fastest that applies is taken: none where a row has one document, since
padding comes after it; where each document starts, on Hopper and later, if a row has few; a bias for every pair of tokens
otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
from keras import ops

from app.engine.bundle import Hparams
from app.errors import SettingError
from finetune.training.options import TrainingOptions

Tensor = Any
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Query, key and value, each [batch, length, heads, size] → the same shape."""
MASKED = -3e4
"""Added to masked attention scores. Within float16's range, unlike the usual -1e9."""
MOST_PLACES = 48
"""Documents in a row up to which cuDNN is faster with their places than with a bias. On an H100, rows of 1,024 tokens with
documents of 60 take 12 % longer than rows of one document by their places; of 20, 38 % by their places and 14 % by a bias."""


def uses_flash(options: TrainingOptions, hparams: Hparams) -> bool:
    """Whether the run computes flash attention. Raises SettingError where --attention flash asks for it in vain."""
    if options.attention == "plain":
        return False
    missing = missing_for_flash(options.precision, hparams.n_embd // hparams.n_head)
    if missing and options.attention == "flash":
        raise SettingError(f"--attention is flash, and {missing}; auto computes plain attention where it has to.")
    return not missing


def missing_for_flash(precision: str, size: int) -> str:
    """Why flash attention cannot be computed for heads of this size; empty where it can."""
    if keras.config.backend() != "jax":
        return "Keras has it on JAX only: set KERAS_BACKEND=jax"
    import jax

    device = jax.devices()[0]
    if device.platform != "gpu":
        return "it needs a GPU"
    if float(device.compute_capability) < 8:
        return f"it needs a GPU of the Ampere generation or a later one, which the {device.device_kind} is not"
    if precision == "float32":
        return "it computes in 16 bits: give --precision bfloat16"
    if size % 8 or size > 128:
        return f"it needs heads whose size is a multiple of 8 up to 128, and this model's is {size}"
    return ""


def plain_attention(segments: Tensor) -> Attend:
    """Attention for rows with these segments, [batch, length]. The softmax is in float32."""
    bias = ops.where(visible(segments), 0.0, MASKED)

    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        scores = ops.einsum("bqhd,bkhd->bhqk", query, key) * (1 / math.sqrt(query.shape[-1]))
        weights = ops.softmax(ops.cast(scores, "float32") + ops.cast(bias, "float32"), axis=-1)
        return ops.einsum("bhqk,bkhd->bqhd", ops.cast(weights, value.dtype), value)

    return attend


def visible(segments: Tensor) -> Tensor:
    """[batch, length] → [batch, 1, length, length]: whether a token sees another one."""
    positions = ops.arange(segments.shape[1])
    same = segments[:, None, :, None] == segments[:, None, None, :]
    return same & (positions[:, None] >= positions[None, :])[None, None]


def flash_attention(segments: Tensor, most: int, implementation: str = "cudnn") -> Attend:
    """The same for rows of at most `most` documents, in 16 bits. JAX's own `implementation` "xla" computes it anywhere."""
    import jax

    attention = partial(jax.nn.dot_product_attention, implementation=implementation)
    if most == 1:
        return partial(attention, is_causal=True)
    if implementation == "cudnn" and most <= MOST_PLACES and finds_documents_by_their_starts():
        return packed_attention(*document_places(segments, most))
    return partial(attention, mask=visible(segments))


def finds_documents_by_their_starts() -> bool:
    """Whether cuDNN takes the places of documents: on one GPU of the Hopper generation or a later one."""
    import jax

    devices = jax.devices()
    return len(devices) == 1 and float(devices[0].compute_capability) >= 9


def document_places(segments: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Where documents start, [batch, most + 1], and how many tokens they have, [batch, most]; -1 where a row has no more.

    Padding, which follows the last document, is taken as a part of it. Causal attention lets none of it be seen.
    """
    last = ops.maximum(ops.max(segments, axis=1, keepdims=True), 1)
    document = ops.where(segments == 0, last, segments)
    numbers = ops.arange(1, most + 1, dtype="int32")
    lengths = ops.sum(ops.cast(document[:, :, None] == numbers, "int32"), axis=1)
    starts = ops.cumsum(lengths, axis=1) - lengths
    lengths, starts = (ops.where(numbers <= last, found, -1) for found in (lengths, starts))
    return ops.pad(starts, ((0, 0), (0, 1)), constant_values=-1), lengths


def packed_attention(starts: Tensor, lengths: Tensor) -> Attend:
    """Attention within the documents at these places. jax.nn has no argument for them; cuDNN's function below it does."""
    from jax._src.cudnn.fused_attention_stablehlo import MaskType, dot_product_attention

    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return dot_product_attention(
            query, key, value, q_seqlen=lengths, kv_seqlen=lengths, q_offsets=starts, kv_offsets=starts,
            scale=1 / math.sqrt(query.shape[-1]), mask_type=MaskType.PADDING_CAUSAL,
        )  # fmt: skip

    return attend
