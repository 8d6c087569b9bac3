"""Atomic folders: written under a temporary name, then renamed; complete or absent."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.errors import SettingError


@contextmanager
def written_aside(out: Path) -> Iterator[Path]:
    """A new temporary folder beside `out` to write in. Removed at the end, unless `replace_folder` moved it into place."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with leaving_at_signals():
        aside = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        try:
            yield aside
        finally:
            shutil.rmtree(aside, ignore_errors=True)


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
    old = aside.with_name(f"{aside.name}-old")
    out.rename(old)
    aside.rename(out)
    shutil.rmtree(old)
