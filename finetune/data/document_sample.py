"""A random sample of documents, on which losses are measured: the same for the same seed."""

from __future__ import annotations

import numpy as np

from finetune.data.prepared import Documents


def sample_documents(documents: Documents, most: int, seed: int = 0) -> Documents:
    """Documents in random order until there are `most` tokens; the last one is cut there.

    Each document is as likely as any other, whatever its length, so the sample is as long-winded and as terse as the whole.
    """
    spans: list[tuple[int, int]] = []
    for index in np.random.default_rng(seed).permutation(len(documents)):
        if most <= 0:
            break
        start, end = documents.span(int(index))
        spans.append((start, min(end, start + most)))
        most -= end - start
    return Documents(
        np.concatenate([documents.tokens[:0], *(documents.tokens[start:end] for start, end in spans)]),
        np.concatenate([documents.roles[:0], *(documents.roles[start:end] for start, end in spans)]),
        np.cumsum([end - start for start, end in spans], dtype=np.int64),
    )
