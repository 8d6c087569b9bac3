"""Keeps progress.json up to date while a run trains, and says in it how the run ended."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal

from app.errors import FatalError
from finetune.run_progress import RunProgress, write_progress
from finetune.training.memory_in_use import device_bytes, resident_bytes
from finetune.training.stop_signals import StopRequest

SECONDS = 2.0
"""The file is written no more often."""


class ProgressFile:
    """Within its block the run is in training; afterwards it has finished, was stopped, or has failed."""

    def __init__(self, folder: Path, step: int, steps: int, stop: StopRequest) -> None:
        self.folder = folder
        self.step = step
        self.steps = steps
        self.stop = stop
        self.written = 0.0

    def __enter__(self) -> ProgressFile:
        self.write("training")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            self.write("stopped" if self.stop.signal else "finished")
        elif isinstance(error, KeyboardInterrupt):
            self.write("stopped")
        else:
            self.write("failed", str(error) if isinstance(error, FatalError) else type(error).__name__)

    def reach(self, step: int) -> None:
        self.step = step
        if time.monotonic() - self.written >= SECONDS:
            self.write("training")

    def write(self, state: Literal["training", "finished", "stopped", "failed"], error: str = "") -> None:
        """A disk that is full is no reason to end a training: then nobody hears of its progress."""
        self.written = time.monotonic()
        progress = RunProgress(
            state=state,
            step=self.step,
            steps=self.steps,
            at=time.time(),
            host=socket.gethostname(),
            process=os.getpid(),
            memory=resident_bytes(),
            device_memory=device_bytes(),
            error=error,
        )
        with suppress(OSError):
            write_progress(self.folder, progress)
