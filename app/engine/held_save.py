"""A save that is held: its files stay readable, even when a training that goes on deletes them meanwhile."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path

OPEN_FILES = next((place for place in (Path("/proc/self/fd"), Path("/dev/fd")) if place.is_dir()), None)
"""Where a process finds its open files under their numbers."""


class HeldSave:
    """Holds the files of a save open. Raises FileNotFoundError if one of them is gone.

    TensorFlow reads files by their names: `prefix` leads to the open ones, whatever becomes of the names in the folder.
    """

    def __init__(self, folder: Path, save: str, files: Sequence[str]) -> None:
        self.prefix = folder / save
        held = [os.open(folder / file, os.O_RDONLY | os.O_CLOEXEC) for file in files]
        links = temporary_folder() if OPEN_FILES else None
        weakref.finalize(self, let_go, held, links)
        if links and OPEN_FILES:
            for file, number in zip(files, held, strict=True):
                (links / file).symlink_to(OPEN_FILES / str(number))
            self.prefix = links / save


def temporary_folder() -> Path | None:
    """None where nothing can be written. The files are then read by their own names."""
    try:
        return Path(tempfile.mkdtemp(prefix="gpt-2-save-"))
    except OSError:
        return None


def let_go(held: Sequence[int], links: Path | None) -> None:
    for number in held:
        os.close(number)
    if links:
        shutil.rmtree(links, ignore_errors=True)
