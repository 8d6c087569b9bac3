"""The training rate: how many operations a second training reaches on a device, estimated before it has begun."""

from __future__ import annotations

import time

import numpy as np

from finetune.training.graphics_cards import peak_rates
from finetune.training.options import Precision

COLAB_CARD = "Tesla T4"
SHARE_OF_PEAK = 0.2
"""What training reaches of a card's peak rate at the least: an H100 reaches 0.57 with large batches and flash attention."""
UNKNOWN_CARD = 5e12
TIMES_FASTER = {"float32": 1.0, "bfloat16": 2.0, "float16": 1.0}
"""On processors that multiply bfloat16 themselves."""
SMALLEST_STEP = 0.01
"""Seconds that the smallest step takes on any device."""


def training_rate(device: str, precision: Precision) -> float:
    """FLOP/s of training on a card by its name, or on the "CPU", which is measured."""
    if device == "CPU":
        return processor_rate() * (TIMES_FASTER[precision] if multiplies_bfloat16() else 1.0)
    rates = peak_rates(device)
    return UNKNOWN_CARD if rates is None else getattr(rates, precision) * 1e12 * SHARE_OF_PEAK


def seconds_of_step(flops: float, device: str, precision: Precision) -> float:
    """How long a step of so many operations takes, compilation apart."""
    return max(SMALLEST_STEP, flops / training_rate(device, precision))


def processor_rate(seconds: float = 0.15) -> float:
    """FLOP/s of this machine in products like those of training, in float32. It takes so many seconds to measure."""
    rows, columns = np.ones((512, 768), np.float32), np.ones((768, 2304), np.float32)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        rows @ columns
        best = min(best, time.perf_counter() - began)
    return 2.0 * rows.size * columns.shape[1] / best


def multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for products of bfloat16, as Linux tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123  Read line by line, of hundreds of kilobytes.
            flags = next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags.split())
