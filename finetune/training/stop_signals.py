"""Ctrl-C, SIGTERM and the end of the terminal (SIGHUP) end a training run cleanly, after the current step and a save."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

STOPPING = "Stopping: the step is finished and saved first."
PATIENCE = "Still saving, please wait. One more Ctrl-C ends without it; the save before stays."
unheeded: list[int] = []
"""Signals whose KeyboardInterrupt a library may have caught: a training that begins then stops at once."""


@dataclass(eq=False)
class StopRequest:
    """The signal that asked the run to stop, 0 while none has. It calls `hurry`, whatever the run is waiting for.

    `saved`: what follows is only nice to have, and a further Ctrl-C ends it.
    """

    signal: int = 0
    hurry: Callable[[], None] = lambda: None
    saved: bool = False
    times: int = 0

    def take(self, number: int, frame: object) -> None:
        """Take a signal, as a handler. Only a person's third Ctrl-C ends a run that has not saved."""
        self.signal = self.signal or number
        self.times += 1
        self.hurry()
        if number == signal.SIGINT and (self.times > 2 or (self.saved and self.times > 1)):
            raise KeyboardInterrupt
        if self.times <= 2 and not self.saved:
            say(STOPPING if self.times == 1 else PATIENCE)


def say(sentence: str) -> None:
    """Print from a signal's handler, where a stream may be half-way through another line."""
    with contextlib.suppress(OSError, ValueError):
        os.write(sys.stderr.fileno(), f"\n{sentence}\n".encode())


@contextmanager
def stop_signals() -> Iterator[StopRequest]:
    """Record a signal to stop, so that the loop can finish its step and save."""
    stop = StopRequest(unheeded.pop() if unheeded else 0)
    if threading.current_thread() is not threading.main_thread():  # Only the main thread may set handlers.
        yield stop
        return
    with handled_by(stop.take):
        yield stop


@contextmanager
def ended_by_signals(ending: str) -> Iterator[None]:
    """Let a signal end what need not be saved half-way: it cleans up, prints `ending`, and exits with the signal's code."""

    def take(number: int, frame: object) -> None:
        unheeded.append(number)
        raise KeyboardInterrupt

    in_main = threading.current_thread() is threading.main_thread()
    try:
        with handled_by(take) if in_main else contextlib.nullcontext():
            yield
    except KeyboardInterrupt:
        print(ending, file=sys.stderr)
        sys.exit(128 + (unheeded[0] if unheeded else signal.SIGINT))
    finally:
        unheeded.clear()


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
