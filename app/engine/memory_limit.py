"""The memory that this process may use."""

from __future__ import annotations

from pathlib import Path

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
