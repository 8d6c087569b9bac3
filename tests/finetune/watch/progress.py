"""progress.json as a trainer would write it."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

from finetune.run_folder import LogEntry
from finetune.run_progress import RunProgress, write_progress


def told(folder: Path, **changes: Any) -> None:
    """By default, this process trains and is at step 40 of 100."""
    usual: dict[str, Any] = {
        "state": "training",
        "step": 40,
        "steps": 100,
        "entries": [LogEntry(step, 5.0 - step / 20, None, 1e-4, 50.0, 2.0 * step) for step in (10, 20, 30, 40)],
        "at": time.time(),
        "host": socket.gethostname(),
        "process": os.getpid(),
        "memory": 10**9,
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_progress(folder, RunProgress(**usual | changes))
