"""The line of a step that takes minutes: what it does, for how long already, and what gcloud says of it."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from types import TracebackType
from typing import Self


class StepLine:
    """On a terminal, one line that is written anew every second. Elsewhere, one line at the start."""

    def __init__(self, does: str) -> None:
        self._does = does
        self._began = time.monotonic()
        self._said = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._refresh, daemon=True)

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._thread.start()
        else:
            print(f"… {self._does}", file=sys.stderr, flush=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
        if kind is None:
            print(f"✓ {self._does} ({self._seconds()})", file=sys.stderr, flush=True)

    def show(self, line: str) -> None:
        """What gcloud said last: a stage such as `Building Container`, without its dots."""
        if words := line.strip(" .\r⠏⠛⠹⠼⠶⠧"):
            self._said = words

    def _refresh(self) -> None:
        while not self._ended.wait(0.5):
            said = f" – {self._said}" if self._said else ""
            line = f"… {self._does} {self._seconds()}{said}"[: shutil.get_terminal_size().columns - 1]
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)

    def _seconds(self) -> str:
        minutes, seconds = divmod(round(time.monotonic() - self._began), 60)
        return f"{minutes}:{seconds:02}"
