"""Whether the model can fit at all: what the container allows, against what is needed at the very least."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from app.errors import MachineError

MEGABYTE = 2**20
# Python, ONNX Runtime and the server on a model of next to no size, before the first request.
BASE = 60 * MEGABYTE
CGROUP = Path("/sys/fs/cgroup")


def memory_allowed(cgroup: Path = CGROUP) -> int | None:
    """Bytes that the container may use, or None where there is no limit; of both versions of Linux's control groups."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            limit = int((cgroup / name).read_text())
        except (OSError, ValueError):  # No such file, or "max": no limit.
            continue
        # What version 1 says where there is none: the largest number of pages that it can count.
        return limit if limit < 2**62 else None
    return None


def size_of(files: Iterable[Path]) -> int:
    """Bytes of those of the files that are there."""
    return sum(path.stat().st_size for path in files if path.is_file())


def check_memory(model: Path, size: int, allowed: int | None) -> None:
    """Refuse a model of `size` bytes if it does not fit beside the program. Raises MachineError."""
    needed = BASE + size
    if allowed is not None and allowed < needed:
        raise MachineError(
            f"the container may use {allowed // MEGABYTE} MB of memory and {model} needs more than "
            f"{needed // MEGABYTE}: allow it more, or export the model with fewer bits."
        )
