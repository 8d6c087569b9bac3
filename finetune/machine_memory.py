"""How much memory this machine has, and how much of it this process may still take."""

from __future__ import annotations

import os
from pathlib import Path

from app.engine.memory_limit import memory_allowed


def free_memory() -> int | None:
    """Bytes that this process may still take, or None where the system does not say."""
    free, allowed = meminfo("MemAvailable"), memory_allowed()
    if free is None or allowed is None:
        return free
    try:
        taken = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None
    return max(0, min(free, allowed - taken))


def all_memory() -> int | None:
    """Bytes of the machine, or those that its container may use; None where the system does not say."""
    return min(filter(None, (meminfo("MemTotal"), memory_allowed())), default=None)


def meminfo(name: str) -> int | None:
    try:
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        return int(lines[name].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None
