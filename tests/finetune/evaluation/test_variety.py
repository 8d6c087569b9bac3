"""Repetition, distinct-n and loops are what counting by hand gives."""

from __future__ import annotations

import numpy as np
import pytest

from finetune.evaluation.passages import Passage
from finetune.evaluation.variety import distinct_share, is_loop, repetition_rates


def test_variety_by_hand() -> None:
    said = Passage(np.array([1, 2, 1, 2, 1, 2], np.int32), ended=True)
    other = Passage(np.array([1, 2, 3], np.int32), ended=True)
    assert repetition_rates([said, other], 2) == [pytest.approx(3 / 5), 0.0]
    assert distinct_share([said, other], 2, 100) == pytest.approx(3 / 7)
    assert is_loop(said.tokens)
    assert not is_loop(other.tokens)
