"""What the processor can do that decides how a model is run."""

from __future__ import annotations

from pathlib import Path

CPU = Path("/proc/cpuinfo")
FEW_ROWS = 4
"""Rows from which on products of integers are as fast on a processor of AMD; measured on one with VNNI."""
CACHED_BYTES = 12 * 2**20
"""Weights of this size stay in a processor's cache."""


def has_vnni() -> bool:
    """Whether it multiplies and adds bytes in one instruction, exactly."""
    return bool({"avx512_vnni", "avx_vnni"} & set(fields().get("flags", "").split()))


def batches_fast(rows: int, weight_bytes: int) -> bool:
    """Whether a graph for batches, whose products are of integers, is faster for `rows` running rows than the main graph.

    On Intel it is at any number, if only for prompts, and everywhere for small models. For few rows, AMD reads weights from
    memory faster in blocks.
    """
    wins = fields().get("vendor_id") == "GenuineIntel" or rows >= FEW_ROWS or weight_bytes <= CACHED_BYTES
    return has_vnni() and wins


def fields() -> dict[str, str]:
    """What Linux says of the first processor; nothing elsewhere."""
    try:
        text = CPU.read_text(encoding="utf-8")
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}
