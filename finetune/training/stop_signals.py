"""Ctrl-C and SIGTERM end a training run cleanly, after the current step and a save."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(eq=False)
class StopRequest:
    """The signal that asked the run to stop, 0 while none has."""

    signal: int = 0


@contextmanager
def stop_signals() -> Iterator[StopRequest]:
    """Record SIGINT or SIGTERM, so that the loop can finish its step and save. A second Ctrl-C interrupts at once."""
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():  # Only the main thread may set handlers.
        yield stop
        return

    def ask(number: int, frame: object) -> None:
        stop.signal = number
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
