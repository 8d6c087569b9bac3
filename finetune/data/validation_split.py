"""The validation split: a hash of a document's text decides whether it is held out.

Nothing else decides, so a document stays in its split when the corpus grows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ENOUGH = 10
"""From this many documents on, at least one is held out."""


def hold_out(keys: NDArray[np.uint64], kept: NDArray[np.bool_], share: float) -> NDArray[np.bool_]:
    """Which documents are for validation, [document].

    Args:
        keys: a hash of each document's text, [document, 2]; the first half decides
        kept: which documents are used at all, [document]
        share: of the documents to hold out, 0 to 0.5; it is taken of the hash's range
    """
    held = kept & (keys[:, 0] < share * 2.0**64)
    if share and not held.any() and kept.sum() >= ENOUGH:
        numbers = np.flatnonzero(kept)
        held[numbers[keys[numbers, 0].argmin()]] = True
    nothing_left_to_train_on = not (kept & ~held).any()
    return np.zeros_like(held) if nothing_left_to_train_on else held
