"""Ctrl-C, SIGTERM and the end of the terminal (SIGHUP) end a training run cleanly, after the current step and a save."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(eq=False)
class StopRequest:
    """The signal that asked the run to stop, 0 while none has. It calls `hurry`, whatever the run is waiting for."""

    signal: int = 0
    hurry: Callable[[], None] = lambda: None


@contextmanager
def stop_signals() -> Iterator[StopRequest]:
    """Record a signal to stop, so that the loop can finish its step and save. A second Ctrl-C interrupts at once."""
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():  # Only the main thread may set handlers.
        yield stop
        return

    def ask(number: int, frame: object) -> None:
        stop.signal = number
        stop.hurry()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    with handled_by(ask):
        yield stop


@contextmanager
def handled_by(handler: signal._HANDLER) -> Iterator[None]:
    """Let `handler` take the signals that ask a program to stop."""
    numbers = {signal.SIGINT, signal.SIGTERM}
    hang_up = getattr(signal, "SIGHUP", None)  # Windows has none.
    if hang_up is not None and signal.getsignal(hang_up) is not signal.SIG_IGN:  # nohup ignores it.
        numbers.add(hang_up)
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
