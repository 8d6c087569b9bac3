"""What a run, a save or a bundle is called on a page: by its folder's name, and `best` by its run's."""

from __future__ import annotations

import re
from pathlib import Path

SAVE = re.compile(r"model-(\d+)(\.(index|meta|data-\d{5}-of-\d{5}))?")


def run_title(path: Path) -> str:
    """`checkpoint/jokes/best` is "jokes, best save", and `checkpoint/jokes/model-500` is "jokes, step 500"."""
    path = path.resolve()
    if found := SAVE.fullmatch(path.name):
        return f"{run_title(path.parent)}, step {int(found[1]):,}"
    if path.name == "best" and path.parent.name:
        return f"{path.parent.name}, best save"
    return path.name or str(path)
