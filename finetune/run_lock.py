"""The lock of a run: one training at a time writes into its folder.

The system gives it back when the process ends, however it ends.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.errors import SettingError

TRIES, INSTANT = 5, 0.02
"""Who asks whether a run is locked holds the lock for an instant, which is not to keep a training from beginning."""


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Raises SettingError if another process trains this run. A folder that stays empty is removed again."""
    if folder.exists() and not folder.is_dir():
        yield  # Whoever wants to write there says what is wrong.
        return
    folder.mkdir(parents=True, exist_ok=True)
    opened = os.open(folder, os.O_RDONLY)
    try:
        lock(opened, folder)
        yield
    finally:
        os.close(opened)
        with contextlib.suppress(OSError):
            folder.rmdir()


def lock(opened: int, folder: Path) -> None:
    for _ in range(TRIES):
        held = try_lock(opened, alone=True)
        if held is not False:
            return
        time.sleep(INSTANT)
    raise SettingError(
        f"{folder} is being trained by another process: wait until it has ended, stop it, or name a new folder."
    )


def is_locked(folder: Path) -> bool | None:
    """Whether a process of this machine trains this run; None where the system has no such locks."""
    try:
        opened = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        held = try_lock(opened, alone=False)
    finally:
        os.close(opened)
    return None if held is None else not held


def try_lock(opened: int, *, alone: bool) -> bool | None:
    """Lock without waiting, `alone` or beside others that are not; None where it cannot be done."""
    try:
        import fcntl

        fcntl.flock(opened, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):  # Windows has no such locks, nor have some network drives.
        return None
    return True
