"""A folder that is there whole or not at all: written aside, then put in its place by a rename."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.errors import SettingError


@contextmanager
def written_aside(out: Path) -> Iterator[Path]:
    """An empty folder beside `out` to write in; whatever is left of it at the end is removed."""
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def refuse_strangers(out: Path, ours: bool, kind: str) -> None:
    """An existing folder is replaced only if it is `ours`: nobody's files are lost to a slip of the keyboard."""
    if out.exists() and not ours and (not out.is_dir() or any(out.iterdir())):
        raise SettingError(f"--out is {out}, which exists and is not {kind}: name a new folder.")


def replace_folder(aside: Path, out: Path, files: Collection[str]) -> None:
    """Put the finished folder in the place of the old one, keeping what else than `files` lies there (the model's card)."""
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
