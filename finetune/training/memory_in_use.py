"""How much memory this process and its GPU use at the moment, where the system and the backend tell."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def resident_bytes() -> int | None:
    """The memory of this process, where the system tells."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def device_bytes() -> int | None:
    """The memory that the backend uses of its first GPU. None without one, or before the backend was imported."""
    if os.environ.get("KERAS_BACKEND") == "jax":
        jax = sys.modules.get("jax")
        stats = jax.local_devices()[0].memory_stats() if jax else None
        return (stats or {}).get("bytes_in_use")
    if (tensorflow := sys.modules.get("tensorflow")) is None:
        return None
    try:
        return int(tensorflow.config.experimental.get_memory_info("GPU:0")["current"])
    except ValueError:  # There is no GPU.
        return None
