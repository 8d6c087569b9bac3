"""Rounding weights to 8 or 4 bits, in blocks that share a scale.

Each row of a matrix is cut into blocks. A block stores one float32 scale and, for each weight, a whole number of steps of
that size. The layout is that of ONNX Runtime's MatMulNBits. Smaller blocks are more exact and take more memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from finetune.checkpoint import Array

Bits = Literal[8, 4, 32]
BLOCK, SMALL_BLOCK = 128, 32
SMALL_MODEL_BYTES = 32 * 2**20
"""Models up to this size in float32 fit into a processor's cache, so they can afford finer rounding."""


class RoundedBlocks(NamedTuple):
    """A matrix [rows, columns] in blocks, in the layout of ONNX Runtime's MatMulNBits."""

    values: NDArray[np.uint8]
    """[rows, blocks, block * bits / 8]."""
    scales: Array
    """[rows, blocks]."""
    bits: int
    block: int
    inputs: int
    """Columns, without what pads the last block."""
    zeros: NDArray[np.uint8] | None = None
    """The step that stands for zero, packed [rows, blocks * bits / 8]; None for the middle one."""


def is_small(weights: Mapping[str, Array]) -> bool:
    return sum(weight.nbytes for weight in weights.values()) <= SMALL_MODEL_BYTES


def block_size(columns: int, small: bool) -> int:
    """Weights per scale: 128 (least memory, fastest); 32 in small models and in rows that 128 does not divide."""
    return SMALL_BLOCK if small or columns % BLOCK else BLOCK


def quantize(weight: Array, bits: int, block: int) -> RoundedBlocks:
    """Round a matrix [rows, columns] to `bits` per weight, symmetrically, with one scale per block of a row.

    The last block of a row is padded with zeros. Two 4-bit weights share a byte, the first in its lower half.
    """
    blocks = split_into_blocks(weight, block)
    zero = 1 << (bits - 1)
    # The range is asymmetric (-128 to 127, -8 to 7): its longer end goes to the largest weight of the block.
    extreme = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=-1, keepdims=True), axis=-1)
    scales = (extreme / -zero).astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.where(scales == 0, 0, np.rint(blocks / scales))
    values: NDArray[np.uint8] = (np.clip(steps, -zero, zero - 1) + zero).astype(np.uint8)
    if bits == 4:
        values = np.bitwise_or(values[..., 0::2], values[..., 1::2] << np.uint8(4))
    return RoundedBlocks(values, scales[..., 0], bits, block, weight.shape[1])


def quantize_columns(weight: Array) -> tuple[NDArray[np.int8], Array]:
    """Round a matrix [rows, columns] to 8 bits symmetrically, with one scale for each column."""
    scales = (np.abs(weight).max(axis=0) / 127).astype(np.float32)
    scales[scales == 0] = 1
    return np.rint(weight / scales).astype(np.int8), scales


def split_into_blocks(weight: Array, block: int) -> Array:
    """A matrix [rows, columns] as [rows, blocks, block], padded with zeros."""
    rows, columns = weight.shape
    blocks = -(-columns // block)
    padded = np.zeros((rows, blocks * block), np.float32)
    padded[:, :columns] = weight
    return padded.reshape(rows, blocks, block)
