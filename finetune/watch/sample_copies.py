"""Finds what a run's samples copy from its training text, in the background: a large text takes a while to look through."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from app.errors import FatalError
from finetune.data.prepared import Data, open_data
from finetune.evaluation.copy_marks import copied_tokens, mark_copies
from finetune.evaluation.copying import COPY, copy_rates, longest_matches
from finetune.evaluation.passages import Passage
from finetune.watch.run_files import RunFiles, StepSamples
from finetune.watch.run_view import SampleView


class SampleCopies:
    """Looks at each step's samples once. `views` has those that were looked at, `state` says in words what is known."""

    def __init__(self, most_tokens: int | None = None) -> None:
        self.most_tokens = most_tokens
        self.views: dict[int, SampleView] = {}
        self.state = ""
        self.tokens: int | None = None
        self._data: Data | None = None
        self._texts: dict[int, Sequence[str]] = {}
        self._thread: threading.Thread | None = None
        self._unseen = False

    @property
    def searching(self) -> bool:
        return bool(self._thread and self._thread.is_alive()) or self._unseen

    def look(self, files: RunFiles, wait: bool = False) -> Mapping[int, SampleView]:
        """Begin to look at new samples, unless it is being done, and return what is known."""
        self.open(files)
        new = [each for each in files.samples if self._texts.get(each.step) != each.texts]
        self._unseen = False
        if self._data is not None and new and not self.searching:
            self._thread = threading.Thread(target=self.search, args=(self._data, new), daemon=True)
            self._thread.start()
            if wait:
                self._thread.join()
                self._unseen = False
        known = {each.step: each.texts for each in files.samples}
        return {step: view for step, view in self.views.items() if self._texts.get(step) == known.get(step)}

    def open(self, files: RunFiles) -> None:
        """Find the training text, once it is known which it is."""
        if self.tokens is not None or files.description is None:
            return
        data = training_data(files)
        if data is None:
            self.state = "The training text is not here, so it is not known what is copied."
            return
        self.tokens = data.description.tokens.get("train", 0)
        if self.most_tokens is None or self.tokens <= self.most_tokens:
            self.state, self._data = "", data
        else:
            self.state = "The training text is long, so copies were not looked for: `gpt2 evaluate` does it."

    def search(self, data: Data, samples: Sequence[StepSamples]) -> None:
        texts = [text for each in samples for text in each.texts]
        tokenizer = data.tokenizer
        passages = [Passage(np.array(tokenizer.encode(text), np.int32), ended=False) for text in texts]
        matches = longest_matches(passages, data.train.tokens, data.description.end_of_text, quiet=True)
        found = iter(zip(passages, matches, strict=True))
        for each in samples:
            mine = [next(found) for _ in each.texts]
            self.views[each.step] = SampleView(
                step=each.step,
                texts=[mark_copies(pair[0], copied_tokens(*pair, COPY), tokenizer) for pair in mine],
                copied=copy_rates([passage for passage, _ in mine], [match for _, match in mine], [COPY]).shares.get(
                    COPY
                ),
            )
            self._texts[each.step] = each.texts
        self._unseen = True


def training_data(files: RunFiles) -> Data | None:
    """The prepared data of the run, found from here or from a folder above the run's; None if it is not there."""
    assert files.description is not None
    path = Path(str(files.description.options.get("data", "")))
    for folder in (path, *(above / path for above in files.folder.resolve().parents)):
        try:
            if (folder / "description.json").is_file():
                data = open_data(folder)
                if data.description.corpus_sha256 == files.description.corpus_sha256:
                    return data
        except (FatalError, OSError):
            continue
    return None
