"""Memory: whether a model fits in the container, and which to free when memory is short."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from app.errors import MachineError

MEGABYTE = 2**20
# Bytes of Python, ONNX Runtime and the server with a model of next to no size, before the first request. Measured.
BASE = 60 * MEGABYTE
# Bytes of KV cache and scratch memory for the texts that are being generated.
WORK = 96 * MEGABYTE
CGROUP = Path("/sys/fs/cgroup")


def memory_allowed(cgroup: Path = CGROUP) -> int | None:
    """Bytes that the container may use, or None for no limit. Reads either version of Linux's control groups."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            limit = int((cgroup / name).read_text())
        except (OSError, ValueError):  # No such file, or "max": no limit.
            continue
        # Version 1 says "no limit" with the largest number of pages that it can count.
        return limit if limit < 2**62 else None
    return None


def size_of(files: Iterable[Path]) -> int:
    """Bytes of those files that exist."""
    return sum(path.stat().st_size for path in files if path.is_file())


def check_memory(model: Path, size: int, allowed: int | None) -> None:
    """Refuse a model of `size` bytes if it cannot fit in `allowed` bytes at all. Raises MachineError."""
    needed = BASE + size
    if allowed is not None and allowed < needed:
        raise MachineError(
            f"the container may use {allowed // MEGABYTE} MB of memory and {model} needs more than "
            f"{needed // MEGABYTE}: allow it more, or export the model with fewer bits."
        )


def models_to_free(loaded: Sequence[str], wanted: str, sizes: Mapping[str, int], allowed: int | None) -> list[str]:
    """The models to free before `wanted` is loaded: the least recently used first, and no more than needed.

    `loaded` goes from the least to the most recently used. `sizes` and `allowed` are bytes; None is no limit.
    """
    if allowed is None:
        return []
    needed = BASE + WORK + sum(sizes.get(name, 0) for name in (*loaded, wanted))
    freed: list[str] = []
    for name in loaded:
        if needed <= allowed:
            break
        needed -= sizes.get(name, 0)
        freed.append(name)
    return freed
