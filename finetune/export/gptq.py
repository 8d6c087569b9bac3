"""GPTQ: rounding weights to 4 bits so that what a projection computes changes least (Frantar et al. 2022, arXiv 2210.17323).

Rounding to the nearest step treats all inputs alike. GPTQ rounds one input after the other and lets the weights of those to
come make up for the error, as far as inputs occur together in real text. What it has to know of the text is the Hessian: the
sums of products of each two inputs, over calibration texts.

A block of weights has a scale and a zero point. The first layer keeps 8 bits, since rounding it costs as much as rounding all
others. Each layer is calibrated with what the layers before it compute once they are rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from app.engine.bundle import Hparams
from finetune.checkpoint import Array
from finetune.export.numpy_gpt2 import attend, gelu, normalize
from finetune.export.quantization import RoundedBlocks, block_size, is_small, quantize

BITS = 4
LARGEST = (1 << BITS) - 1
DAMPING = 0.01
"""What is added to the Hessian's diagonal, as a share of its mean, so that it can be inverted."""
SHRUNK = np.linspace(0.75, 1.0, 6, dtype=np.float32)
"""How far a block's range is shrunk: steps are smaller then, and the few weights beyond the range are cut off."""
CHUNK = 256
"""Tokens that are computed at once."""
TOGETHER = 64
"""Inputs whose errors are passed on to all later ones at once."""
SUMMED = 4096
"""Tokens whose products are summed in float32."""
Say = Callable[[str], object]
Texts = Sequence[NDArray[np.int64]]
"""Tokens, [n] each."""


def round_weights(hparams: Hparams, weights: Mapping[str, Array], texts: Texts, say: Say) -> dict[str, RoundedBlocks]:
    """All projections of a model and its output head, rounded, by name. Tells `say` what comes next."""
    calibration = Calibration(hparams, weights, texts)
    for layer in range(hparams.n_layer):
        say(f"round layer {layer + 1} of {hparams.n_layer}")
        calibration.round_layer(layer)
    say("round the output head")
    calibration.round_head()
    return calibration.rounded


class Calibration:
    """The calibration texts on their way through the model, whose layers are rounded as they pass."""

    def __init__(self, hparams: Hparams, weights: Mapping[str, Array], texts: Texts) -> None:
        self.rounded: dict[str, RoundedBlocks] = {}
        self._heads = hparams.n_head
        self._weights = weights
        self._small = is_small(weights)
        self._block = block_size(hparams.n_embd, self._small)
        # The residual stream of all texts, [tokens, n_embd], and where each text but the last ends.
        self._stream = np.concatenate([weights["wte"][tokens] + weights["wpe"][: len(tokens)] for tokens in texts])
        self._ends = np.cumsum([len(tokens) for tokens in texts])[:-1]

    def round_layer(self, layer: int) -> None:
        name, exact = f"h{layer}", layer == 0
        qkv = self._project(normalize(self._stream, self._weights, f"{name}/ln_1"), f"{name}/attn/c_attn", exact)
        attended = np.concatenate([attend(text, self._heads) for text in np.split(qkv, self._ends)])
        self._stream += self._project(attended, f"{name}/attn/c_proj", exact)
        hidden = self._project(normalize(self._stream, self._weights, f"{name}/ln_2"), f"{name}/mlp/c_fc", exact)
        for start in range(0, len(hidden), CHUNK):
            # In place, and no more at a time than a processor's cache holds.
            hidden[start : start + CHUNK] = gelu(hidden[start : start + CHUNK])
        self._stream += self._project(hidden, f"{name}/mlp/c_proj", exact)

    def round_head(self) -> None:
        self._round("logits", self._weights["wte"], normalize(self._stream, self._weights, "ln_f"), exact=False)

    def _project(self, inputs: Array, name: str, exact: bool) -> Array:
        """What the projection computes of the inputs, rounded."""
        product: Array = inputs @ self._round(name, self._weights[f"{name}/w"][0].T, inputs, exact).T
        product += self._weights[f"{name}/b"]
        return product

    def _round(self, name: str, weight: Array, inputs: Array, exact: bool) -> Array:
        """Round a matrix [rows, columns]. Returns what its steps stand for."""
        if exact:
            self.rounded[name] = quantize(weight, 8, block_size(weight.shape[1], self._small))
        else:
            self.rounded[name] = gptq(weight, hessian(inputs), self._block)
        return restore(self.rounded[name])


def hessian(inputs: Array) -> NDArray[np.float64]:
    """The sums of products of each two inputs, [columns, columns], over inputs [tokens, columns]."""
    together = np.zeros((inputs.shape[1],) * 2)
    for part in np.array_split(inputs, -(-len(inputs) // SUMMED)):
        together += part.T @ part
    return together


def gptq(weight: Array, hessian: NDArray[np.float64], block: int) -> RoundedBlocks:
    """Round a matrix [rows, columns] to 4 bits. The last block of a row is padded with zeros."""
    rows, columns = weight.shape
    blocks = -(-columns // block)
    # One input after the other is rounded for all rows, so the inputs come first in memory.
    inputs = np.array(weight.T, np.float32, order="C")
    scales, zeros = fit_blocks(inputs, np.diag(hessian).astype(np.float32), block)
    values = np.repeat(zeros.astype(np.uint8), block, axis=0)
    # The inputs that matter most come first: all others make up for their errors.
    order = np.argsort(-np.diag(hessian), kind="stable")
    left, spread = inputs[order], error_spread(hessian[np.ix_(order, order)])
    for start in range(0, columns, TOGETHER):
        end = min(columns, start + TOGETHER)
        errors = np.empty((end - start, rows), np.float32)
        for place, at in enumerate(range(start, end)):
            scale, zero = scales[order[at] // block], zeros[order[at] // block]
            steps = np.clip(np.rint(left[at] / scale) + zero, 0, LARGEST)
            values[order[at]] = steps
            errors[place] = (left[at] - (steps - zero) * scale) / spread[at, at]
            left[at + 1 : end] -= np.outer(spread[at, at + 1 : end], errors[place])
        left[end:] -= spread[start:end, end:].T @ errors
    packed = pack(values.reshape(blocks, block, rows).transpose(2, 0, 1))
    return RoundedBlocks(packed, scales.T.copy(), BITS, block, columns, pack(zeros.T.astype(np.uint8)))


def fit_blocks(inputs: Array, costs: Array, block: int) -> tuple[Array, Array]:
    """The scales and the zero points, [blocks, rows] each, of a matrix [columns, rows]; `costs` [columns] are those of errors."""
    starts = range(0, len(inputs), block)
    fitted = [fit_range(inputs[start : start + block], costs[start : start + block]) for start in starts]
    scales, zeros = zip(*fitted, strict=True)
    return np.stack(scales), np.stack(zeros)


def error_spread(hessian: NDArray[np.float64]) -> Array:
    """By how much the error of one input moves the weights of those after it: upper triangular, [columns, columns]."""
    damped = hessian.copy()
    diagonal = np.einsum("ii->i", damped)
    # An input that is never there has nothing to say.
    diagonal += DAMPING * (diagonal.mean() or 1)
    return np.linalg.cholesky(np.linalg.inv(damped)).T.astype(np.float32)


def fit_range(weights: Array, costs: Array) -> tuple[Array, Array]:
    """The scale and the zero point, [rows] each, with which a block [block, rows] loses least."""
    least, most = np.minimum(weights.min(axis=0), 0), np.maximum(weights.max(axis=0), 0)
    loss = np.full(weights.shape[1], np.inf, np.float32)
    scales, zeros = np.ones_like(loss), np.zeros_like(loss)
    for low in SHRUNK:
        for high in SHRUNK:
            scale, zero, error = try_range(weights, costs, low * least, high * most)
            better = error < loss
            for found, tried in ((scales, scale), (zeros, zero), (loss, error)):
                np.copyto(found, tried, where=better)
    return scales, zeros


def try_range(weights: Array, costs: Array, least: Array, most: Array) -> tuple[Array, Array, Array]:
    """The scale and the zero point for this range, and the loss. The scale is the best one for the steps."""
    scale: Array = (most - least) / np.float32(LARGEST)
    scale[scale == 0] = 1
    zero: Array = np.clip(np.rint(-least / scale), 0, LARGEST)
    steps = weights / scale
    np.rint(steps, out=steps)
    np.clip(steps, -zero, LARGEST - zero, out=steps)
    costly = costs[:, np.newaxis] * steps
    along, squares = np.einsum("ij,ij->j", weights, costly), np.einsum("ij,ij->j", steps, costly)
    scale = np.where(along > 0, along / np.where(squares > 0, squares, 1), scale).astype(np.float32)
    # The sum of squares of weights - steps * scale, but for that of the weights, which all ranges share.
    return scale, zero, scale * (scale * squares - 2 * along)


def pack(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Two values to a byte, the first in its lower half, along the last axis."""
    if values.shape[-1] % 2:
        values = np.concatenate([values, np.zeros_like(values[..., :1])], axis=-1)
    packed: NDArray[np.uint8] = np.bitwise_or(values[..., 0::2], values[..., 1::2] << np.uint8(4))
    return packed


def unpack(packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.stack([packed & 15, packed >> 4], axis=-1).reshape(*packed.shape[:-1], -1)


def restore(rounded: RoundedBlocks) -> Array:
    """What the steps stand for: the matrix [rows, columns]."""
    values, middle = rounded.values, 1 << (rounded.bits - 1)
    if rounded.bits == BITS:
        values = unpack(values)
    zeros = middle if rounded.zeros is None else unpack(rounded.zeros)[:, : values.shape[1], np.newaxis]
    steps = values.astype(np.float32) - np.asarray(zeros, np.float32)
    restored: Array = (steps * rounded.scales[..., np.newaxis]).reshape(len(values), -1)[:, : rounded.inputs]
    return restored
