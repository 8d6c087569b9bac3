"""The memory of slots: it takes no room before it is written, and none after it is released."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from app.engine.slot_memory import SlotMemory

MEGABYTE = 2**20


def resident() -> int:
    """Bytes of this process in memory, of its own or shared."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return sum(1024 * int(size) for size in re.findall(r"^Rss(?:Anon|Shmem):\s+(\d+)", status, re.MULTILINE))


def test_a_slot_takes_memory_while_it_is_filled_and_no_longer() -> None:
    """Shared memory looked as if it were given back, and stayed in the container's count."""
    before = resident()
    memory = SlotMemory(["key_0", "value_0"], 1000, (64 * MEGABYTE,), np.int8)
    assert resident() - before < 8 * MEGABYTE
    memory.arrays["key_0"][1] = 1
    memory.arrays["key_0"][2] = 1
    assert resident() - before > 120 * MEGABYTE
    memory.release(1)
    assert resident() - before < 72 * MEGABYTE
    assert not memory.arrays["key_0"][1, ::4096].any()
    assert memory.arrays["key_0"][2].all()
    memory.release(2)
    assert resident() - before < 8 * MEGABYTE
