"""Rounded weights are within half a step of the weights."""

from __future__ import annotations

import numpy as np
import pytest

from finetune.export.quantization import quantize


@pytest.mark.parametrize("bits", [8, 4])
def test_rounding_is_within_half_a_step(bits: int) -> None:
    weights = np.random.default_rng(0).standard_normal((3, 100)).astype(np.float32)
    weights[1] = 0
    values, scales = quantize(weights, bits, 32)[:2]
    if bits == 4:
        values = np.stack([values & 15, values >> 4], axis=-1).reshape(3, 4, 32)
    restored = (values.astype(np.float32) - (1 << (bits - 1))) * scales[..., np.newaxis]
    step = np.abs(scales).repeat(32, axis=1)[:, :100]
    # One step at the end of the range that has no mirror image.
    assert (np.abs(restored.reshape(3, -1)[:, :100] - weights) <= step * 1.001).all()
    assert np.median(np.abs(restored.reshape(3, -1)[:, :100] - weights) / np.maximum(step, 1e-9)) < 0.5
    assert restored.shape == (3, 4, 32)
