"""progress.json: how far a training run is, for whoever watches it.

log.csv has the losses; this file says every few seconds which step is reached. The trainer writes it, and its last words say how
the run ended. A run that was killed says nothing: then its process is gone.
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Literal

import msgspec

from finetune.checkpoint import replace_text

FILE = "progress.json"
SILENCE = 900.0
"""Seconds after which a run on another machine, whose processes cannot be seen from here, counts as stopped."""

LONGEST_PAUSE = 3600.0
"""The same for a run on this machine: later, its process number may have become another program's."""


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

    @property
    def alive(self) -> bool:
        """Whether it is still being trained, as far as can be told from here."""
        if self.state != "training":
            return False
        here = self.host == socket.gethostname()
        if time.time() - self.at > (LONGEST_PAUSE if here else SILENCE):
            return False
        return not here or process_exists(self.process)


def read_progress(folder: Path) -> RunProgress | None:
    """None where there is none, as in runs of earlier versions and of gpt-2-simple, or where it cannot be read now."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=RunProgress)
    except (OSError, msgspec.DecodeError):
        return None


def write_progress(folder: Path, progress: RunProgress) -> None:
    replace_text(folder / FILE, msgspec.json.encode(progress).decode())


def process_exists(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return not is_zombie(number)


def is_zombie(number: int) -> bool:
    """Whether the process has ended, and only its parent has not asked how."""
    try:
        return Path(f"/proc/{number}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return False
