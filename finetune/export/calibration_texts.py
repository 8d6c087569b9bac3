"""Calibration texts: what a model reads while it is rounded, so that what matters for such text is kept.

They are those that a run was trained on, where they are still there. Otherwise the model writes them itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.engine.base import Chunk, Engine, RowStep
from app.engine.sampling import Sampling, choose
from app.errors import DataError
from finetune.data.prepared import Documents, Split, open_data
from finetune.run_folder import RunDescription

TOKENS = 8192
"""Of all texts together. The largest Hessian of 124M has 3,072 rows."""
LONGEST = 256
"""Tokens of a text that are read."""
WRITTEN = 16
"""Texts that a model writes beside each other."""
TEMPERATURE_ONE = Sampling(temperature=1.0)


class CalibrationTexts(NamedTuple):
    """Texts as tokens [n], n > 1, and what they are: `training data` or `sampled text`."""

    texts: Sequence[NDArray[np.int64]]
    source: str

    @property
    def tokens(self) -> int:
        return sum(map(len, self.texts))


def corpus_texts(
    run: RunDescription | None, n_ctx: int, split: Split = "train", tokens: int = TOKENS
) -> CalibrationTexts | None:
    """Text of the data that a run was trained on; None where that is gone, or another by now."""
    try:
        data = open_data(Path(str(run.options.get("data", "")))) if run else None
    except DataError:
        return None
    if run is None or data is None or data.description.corpus_sha256 != run.corpus_sha256:
        return None
    documents = data.train if split == "train" else data.validation
    texts = choose_texts(documents, data.description.end_of_text, min(LONGEST, n_ctx), tokens)
    source = "training data" if split == "train" else "held-out data"
    return CalibrationTexts(texts, source) if texts else None


def choose_texts(documents: Documents, end: int, longest: int, tokens: int) -> list[NDArray[np.int64]]:
    """Documents and pieces of long ones from all over the corpus, each with the token before it, until that is enough."""
    texts: dict[int, NDArray[np.int64]] = {}
    total, size = 0, longest - 1
    # In a window of one token, nothing comes after anything.
    anywhere = len(documents.tokens) if size else 0
    for place in np.random.default_rng(0).integers(0, anywhere, tokens) if anywhere else ():
        first, last = documents.span(int(np.searchsorted(documents.ends, place, side="right")))
        start = int(first + (place - first) // size * size)
        if start not in texts and total < tokens:
            before = [end] if start == first else documents.tokens[start - 1 : start]
            texts[start] = np.array([*before, *documents.tokens[start : min(start + size, last)]], np.int64)
            total += len(texts[start])
    return list(texts.values())


def sampled_texts(engine: Engine, tokens: int = TOKENS // 2, longest: int = LONGEST) -> CalibrationTexts:
    """Texts that the model writes at temperature 1."""
    length = min(longest, engine.n_ctx)
    random = np.random.default_rng(2)
    texts: list[NDArray[np.int64]] = []
    while len(texts) * length < tokens:
        texts += write_texts(engine, length, random)
    return CalibrationTexts(texts, "sampled text")


def write_texts(engine: Engine, length: int, random: np.random.Generator) -> list[NDArray[np.int64]]:
    """WRITTEN texts of `length` tokens."""
    first = np.array([engine.tokenizer.end_of_text or 0], np.int64)
    with closing(engine.slots(WRITTEN, length)) as slots:
        logits = np.stack([slots.run([], Chunk(slot, first, 0))[0].copy() for slot in range(WRITTEN)])
        texts = [[int(first[0])] for _ in range(WRITTEN)]
        for position in range(1, length):
            for text, row in zip(texts, logits, strict=True):
                text.append(choose(row, TEMPERATURE_ONE, random))
            logits = slots.run([RowStep(slot, text[-1], position) for slot, text in enumerate(texts)], None)
    return [np.array(text, np.int64) for text in texts]
