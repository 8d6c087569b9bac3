"""The lock of a run: one training at a time writes into its folder.

The system gives it back when the process ends, however it ends.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.errors import SettingError


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
    try:
        import fcntl

        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SettingError(
            f"{folder} is being trained by another process: wait until it has ended, stop it, or name a new folder."
        ) from None
    except (ImportError, OSError):  # Windows has no such locks, nor have some network drives.
        return
