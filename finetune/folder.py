"""Atomic folders: written under a temporary name, then renamed; complete or absent.

    .NAME-12345678.new   what a process writes, which holds a lock on it
    .NAME-12345678.old   what it replaces, for the moment between two renamings

Nobody can clean up after a process that was killed but the next one: it removes what nobody holds a lock on.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.errors import SettingError
from finetune.run_lock import is_locked, try_lock


@contextmanager
def written_aside(out: Path) -> Iterator[Path]:
    """A new temporary folder beside `out` to write in. Removed at the end, unless `replace_folder` moved it into place.

    First removes what killed processes left of writing `out`.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(out)
    with leaving_at_signals():
        aside = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        held = os.open(aside, os.O_RDONLY)
        try:
            try_lock(held, alone=True)
            # Only now does it have a name that others may remove if nobody holds a lock on it.
            aside = aside.rename(f"{aside}.new")
            yield aside
        finally:
            shutil.rmtree(aside, ignore_errors=True)
            os.close(held)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for what is needed for a while. Like `written_aside`, it removes what killed processes left there."""
    with written_aside(Path(tempfile.gettempdir()) / "gpt-2-scratch") as folder:
        yield folder


def remove_leftovers(out: Path) -> None:
    """Remove what nobody writes any more. A process killed while it replaced `out` has moved that away: it is put back."""
    name = re.compile(rf"\.{re.escape(out.name)}-[a-z0-9_]{{8}}\.(new|old)")
    for left in sorted((path for path in out.parent.iterdir() if name.fullmatch(path.name)), reverse=True):
        written = left.with_suffix(".new")
        if written.exists() and is_locked(written) is not False:
            continue
        if left.suffix == ".old" and not out.exists():
            with contextlib.suppress(OSError):  # Another process has just put something there.
                left.rename(out)
        shutil.rmtree(left, ignore_errors=True)


@contextmanager
def leaving_at_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the program as an error does, so that what is half-written is removed.

    A signal that somebody else handles, as in a training, or ignores, as with nohup, is left alone.
    """
    signals = [signal.SIGTERM, signal.SIGHUP] if threading.current_thread() is threading.main_thread() else []
    ours = [number for number in signals if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def refuse_overwriting(out: Path, ours: bool, kind: str) -> None:
    """Raises SettingError if `out` exists, holds files and is not `ours`, so that a typing mistake costs nobody a file."""
    if out.exists() and not ours and (not out.is_dir() or any(out.iterdir())):
        raise SettingError(f"--out is {out}, which exists and is not {kind}: name a new folder.")


def replace_folder(aside: Path, out: Path, files: Collection[str]) -> None:
    """Replace the folder `out` by the finished `aside`. Files of `out` that are not among `files`, such as a card, are kept."""
    aside.chmod(0o755)
    if not out.exists():
        aside.rename(out)
        return
    for path in out.iterdir():
        if path.name not in files:
            (shutil.copytree if path.is_dir() else shutil.copy2)(path, aside / path.name)
    old = aside.with_suffix(".old")
    out.rename(old)
    aside.rename(out)
    shutil.rmtree(old, ignore_errors=True)
