"""The thread that writes saves: in order, nothing after an error, and the error reaches the run."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from app.errors import CheckpointError
from finetune.training.save_thread import SaveThread
from finetune.training.stop_signals import stop_signals


def fail() -> None:
    raise CheckpointError("the disk is full")


def test_work_is_done_in_order_and_waited_for_at_the_end() -> None:
    done: list[int] = []
    with SaveThread() as saves:
        for number in range(5):
            saves.add(lambda number=number: done.append(number))  # type: ignore[misc]
    assert done == [*range(5)]


def test_after_an_error_nothing_more_is_done_and_the_run_hears_of_it() -> None:
    """Samples of a save that failed would be those of the save before it."""
    done: list[int] = []
    with SaveThread() as saves:
        saves.add(lambda: done.append(1))
        saves.add(fail)
        saves.add(lambda: done.append(2))
        with pytest.raises(CheckpointError, match="the disk is full"):
            saves.wait()
    assert done == [1]


def test_a_look_for_errors_does_not_wait() -> None:
    go = threading.Event()
    with SaveThread() as saves:
        saves.add(lambda: fail_after(go))
        saves.check()
        go.set()
        with pytest.raises(CheckpointError, match="the disk is full"):
            look_until_it_fails(saves)


def fail_after(go: threading.Event) -> None:
    assert go.wait(60)
    fail()


def look_until_it_fails(saves: SaveThread) -> None:
    while True:
        saves.check()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, ValueError])
def test_who_interrupts_does_not_wait_for_samples(kind: type[BaseException]) -> None:
    """Any other end of the run waits for them."""
    passed: list[bool] = []
    with pytest.raises(kind):
        end_with(kind, passed)
    assert passed == [kind is KeyboardInterrupt]


def end_with(kind: type[BaseException], passed: list[bool]) -> None:
    """End a run while its last save is being written, and note whether there is time left for samples."""
    written = threading.Event()
    with SaveThread() as saves:
        saves.add(lambda: passed.append(written.wait(60)))
        saves.add(passed.clear)
        saves.add(lambda: passed.append(saves.time_left.passed))
        threading.Timer(0.1, written.set).start()
        raise kind


def test_the_next_save_has_time_again() -> None:
    with SaveThread() as saves:
        saves.hurry()
        assert saves.time_left.passed
        saves.wait()
        assert not saves.time_left.passed


def test_a_signal_ends_the_wait_for_samples() -> None:
    """A machine that is taken away leaves 30 seconds. The samples of the save before may take minutes, and the new one waited."""
    with stop_signals() as stop, SaveThread() as saves:
        stop.hurry = saves.hurry
        saves.add(lambda: wait_for_the_end(saves))
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
        saves.wait()
        assert stop.signal == signal.SIGTERM


def wait_for_the_end(saves: SaveThread) -> None:
    """Write samples for 60 seconds, unless time runs out."""
    end = time.monotonic() + 60
    while not saves.time_left.passed:
        assert time.monotonic() < end
        time.sleep(0.01)
