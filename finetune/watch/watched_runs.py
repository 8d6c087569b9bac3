"""The runs that a page shows: read again when their files change, and looked through for copies."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from finetune.watch.run_files import file_state, read_run
from finetune.watch.run_view import RunView, view_run
from finetune.watch.sample_copies import SampleCopies


class LastView(NamedTuple):
    """A view, and what it was made of. `corpus`: the hash of the text that the run is trained on, once it is known."""

    files: object
    view: RunView
    corpus: str | None


class WatchedRun:
    """One run."""

    def __init__(self, folder: Path, most_tokens: int | None) -> None:
        self.folder = folder
        self.copies = SampleCopies(most_tokens)
        self._last: LastView | None = None

    def view(self, wait: bool = False) -> RunView:
        """The run as it is now. `wait` until the copies in its samples are known."""
        state = file_state(self.folder)
        # A run that trains may end without a change of its files: its lock is looked at each time.
        if (
            self._last is None
            or self._last.files != state
            or self._last.view.state == "training"
            or self.copies.searching
        ):
            files = read_run(self.folder)
            if files.description and self._last and self._last.corpus not in (None, files.description.corpus_sha256):
                self.copies = SampleCopies(self.copies.most_tokens)  # Another run has taken the folder.
            marked = self.copies.look(files, wait)
            corpus = files.description.corpus_sha256 if files.description else self._last and self._last.corpus
            self._last = LastView(state, view_run(files, self.copies.tokens, marked, self.copies.state), corpus)
        return self._last.view


class WatchedRuns:
    """Several runs, under names that tell them apart. Threads may ask at the same time.

    Copies are not looked for in training texts of more than `most_tokens` tokens.
    """

    def __init__(self, folders: Sequence[Path], most_tokens: int | None = None) -> None:
        self.runs = [WatchedRun(folder, most_tokens) for folder in dict.fromkeys(folders)]
        self._lock = threading.Lock()

    def views(self, wait: bool = False) -> list[RunView]:
        with self._lock:
            views = [run.view(wait) for run in self.runs]
        titles = [view.title for view in views]
        return [
            msgspec.structs.replace(view, title=view.folder) if titles.count(view.title) > 1 else view for view in views
        ]

    def folder(self, name: object) -> Path | None:
        """The run of this name; None if it is not one of these."""
        return next((run.folder for run in self.runs if str(run.folder) == name), None)
