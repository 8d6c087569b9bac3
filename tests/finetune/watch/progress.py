"""progress.json and log.csv as a trainer would write them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from finetune.run_folder import LogEntry, RunFolder
from finetune.run_lock import run_lock
from finetune.run_progress import RunProgress, write_progress

LOGGED = [LogEntry(step, 5.0 - step / 20, None, 1e-4, 50.0, 2.0 * step) for step in (10, 20, 30, 40)]


def told(folder: Path, entries: Sequence[LogEntry] = LOGGED, **changes: Any) -> None:
    """By default, another machine, whose lock cannot be seen from here, is at step 40 of 100. The log goes on with `entries`."""
    usual: dict[str, Any] = {
        "state": "training",
        "step": 40,
        "steps": 100,
        "at": time.time(),
        "host": "another machine",
        "process": os.getpid(),
        "memory": 10**9,
    }
    folder.mkdir(parents=True, exist_ok=True)
    progress = RunProgress(**usual | changes)
    first = entries[0].step if entries else progress.step + 1
    RunFolder(folder).write_log([*(entry for entry in RunFolder(folder).log() if entry.step < first), *entries])
    write_progress(folder, progress)


@contextmanager
def in_training(folder: Path) -> Iterator[None]:
    """The run is trained within this block."""
    progress = RunProgress(state="training", step=12, steps=20, at=0.0, host="", process=os.getpid())
    with run_lock(folder):
        write_progress(folder, progress)
        yield
