"""The memory of KV caches, straight from the system, to which each slot's part goes back when its text is over."""

from __future__ import annotations

import contextlib
import math
import mmap
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from app.engine.bundle import Hparams

# Linux's MAP_NORESERVE, which Python 3.11 does not name.
NO_RESERVE = 0x4000 if sys.platform == "linux" else 0


def cache_names(hparams: Hparams) -> list[str]:
    """The names of a model's keys and values, layer by layer, as its graphs have them."""
    return [f"{part}_{layer}" for layer in range(hparams.n_layer) for part in ("key", "value")]


class SlotMemory:
    """One array [slots, *shape] for each name. Memory that was never written takes no room.

    In huge pages, a KV cache that will be full is read by up to a tenth faster. A huge page is resident as a whole, though a
    text may need a few positions of each head only.
    """

    def __init__(
        self, names: Sequence[str], count: int, shape: tuple[int, ...], kind: DTypeLike, huge: bool = False
    ) -> None:
        self.slot_bytes = math.prod(shape) * np.dtype(kind).itemsize
        size = -(-count * self.slot_bytes // mmap.PAGESIZE) * mmap.PAGESIZE
        self._map = anonymous_memory(size * len(names))
        if sys.platform == "linux":
            # A kernel without huge pages does not know the advice.
            with contextlib.suppress(OSError):
                self._map.madvise(mmap.MADV_HUGEPAGE if huge else mmap.MADV_NOHUGEPAGE)
        self._offsets = [size * index for index in range(len(names))]
        self.arrays: dict[str, NDArray[Any]] = {
            name: np.ndarray((count, *shape), kind, self._map, offset)
            for name, offset in zip(names, self._offsets, strict=True)
        }

    def slot(self, start: int, count: int = 1) -> dict[str, NDArray[Any]]:
        """The arrays of some slots, as views."""
        return {name: array[start : start + count] for name, array in self.arrays.items()}

    def release(self, slot: int) -> None:
        """Give back the pages that hold nothing but this slot. They are zeros when they are next read."""
        if not hasattr(mmap, "MADV_DONTNEED"):
            return
        for offset in self._offsets:
            start = -(-(offset + slot * self.slot_bytes) // mmap.PAGESIZE) * mmap.PAGESIZE
            end = (offset + (slot + 1) * self.slot_bytes) // mmap.PAGESIZE * mmap.PAGESIZE
            if end > start:
                self._map.madvise(mmap.MADV_DONTNEED, start, end - start)


def anonymous_memory(size: int) -> mmap.mmap:
    """Memory that takes no room until it is written, however much it is.

    Private, since what is given back of shared memory is not freed; and not reserved, or a system with less would refuse it.
    """
    if not hasattr(mmap, "MAP_PRIVATE"):
        return mmap.mmap(-1, size)
    return mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NO_RESERVE)
