"""The processor cores that this process may use."""

from __future__ import annotations

import os
from pathlib import Path


def cores_allowed() -> int:
    """Cores this process may use: its affinity and, in a container, its share of processor time, rounded up."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return min(cores, max(1, -(-int(quota) // int(period))))
    except (OSError, ValueError):  # No such file, or "max": no limit.
        return cores
