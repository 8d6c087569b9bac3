"""watch.html: the page as a file in the run's folder, when its training has ended."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from finetune.checkpoint import replace_text
from finetune.run_progress import read_progress
from finetune.watch.watch_page import render_watch_page
from finetune.watch.watched_runs import WatchedRuns

FILE_NAME = "watch.html"
QUICK = 20_000_000
"""Tokens of training text that are looked through for copies in some seconds."""


def leave_page(folder: Path) -> None:
    """Write it, if this process trained. A page that cannot be written is no reason for a training to fail."""
    progress = read_progress(folder)
    if progress is None or progress.process != os.getpid():
        return
    try:
        page = render_watch_page(WatchedRuns([folder], most_tokens=QUICK).views(wait=True), live=False)
        replace_text(folder / FILE_NAME, page)
    except Exception as error:
        print(f"{folder / FILE_NAME} was not written ({error}).", file=sys.stderr)
