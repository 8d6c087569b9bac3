"""progress.json: how far a training run is, for whoever watches it.

log.csv has the losses; this file says every few seconds which step is reached. The trainer writes it, and its last words say how
the run ended. A run that was killed says nothing: then nobody holds its lock.
"""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Literal

import msgspec

from app.engine.json_text import decode_json
from finetune.checkpoint import replace_text
from finetune.run_lock import is_locked

FILE = "progress.json"
SILENCE = 900.0
"""Seconds after which a run whose lock cannot be seen from here, as on another machine, counts as stopped."""


class RunProgress(msgspec.Struct, frozen=True, kw_only=True):
    """`at`: when this was written, in Unix time.

    `memory`: bytes of the trainer's process, `device_memory`: of its GPU. `error`: the sentence with which a run failed.
    """

    state: Literal["training", "finished", "stopped", "failed"]
    step: int
    steps: int
    at: float
    host: str
    process: int
    memory: int | None = None
    device_memory: int | None = None
    error: str = ""

    def alive(self, folder: Path) -> bool:
        """Whether the run in this folder is still being trained, as far as can be told from here."""
        if self.state != "training":
            return False
        locked = is_locked(folder)
        if locked or (locked is False and self.host == socket.gethostname()):
            return locked
        return time.time() - self.at < SILENCE


def read_progress(folder: Path) -> RunProgress | None:
    """None where there is none, as in runs of earlier versions and of gpt-2-simple, or where it cannot be read now."""
    try:
        return decode_json((folder / FILE).read_bytes(), RunProgress)
    except (OSError, msgspec.DecodeError):
        return None


def write_progress(folder: Path, progress: RunProgress) -> None:
    replace_text(folder / FILE, msgspec.json.encode(progress).decode())
