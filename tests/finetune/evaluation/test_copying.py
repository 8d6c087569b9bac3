"""Copies are found exactly, with the place where each first occurs."""

from __future__ import annotations

import numpy as np
import pytest

from finetune.evaluation.copying import copy_rates, longest_matches
from finetune.evaluation.passages import Passage

END = 99


def runs_by_hand(text: list[int], corpus: list[int]) -> list[int]:
    """For each position, the length of the longest run of three or more from there that the corpus contains."""

    def longest(start: int) -> int:
        sizes = range(len(text) - start, 2, -1)
        places = range(len(corpus))
        return next((n for n in sizes if any(corpus[at : at + n] == text[start : start + n] for at in places)), 0)

    return [longest(start) for start in range(len(text))]


@pytest.mark.parametrize("seed", range(5))
def test_copies_are_found_exactly(seed: int) -> None:
    """Against an exhaustive search, in text of so few different tokens that nearly every run occurs twice."""
    random = np.random.default_rng(seed)
    corpus = random.integers(0, 3, 400)
    corpus[random.integers(0, 400, 20)] = END
    corpus[-1] = END
    passages = [
        Passage(random.integers(0, 3, size).astype(np.int32), ended) for size, ended in ((40, True), (25, False))
    ]
    for passage, found in zip(passages, longest_matches(passages, corpus, END), strict=True):
        text = [END, *passage.tokens.tolist(), *[END] * passage.ended]
        assert found.lengths.tolist() == runs_by_hand(text, [END, *corpus.tolist()])
        for at, size in enumerate(found.lengths.tolist()):
            place, whole = int(found.places[at]), [END, *corpus.tolist()]
            same = [start for start in range(len(whole)) if whole[start : start + size] == text[at : at + size]]
            assert size == 0 or place + 1 == same[0]


def test_a_copy_across_blocks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finetune.evaluation.copying.BLOCK", 16)
    corpus = np.arange(100)
    (found,) = longest_matches([Passage(np.arange(10, 60, dtype=np.int32), ended=False)], corpus, END)
    assert found.lengths.max() == 50


def test_shares_and_whole_copies() -> None:
    corpus = np.array([1, 2, 3, 4, 5, END, 6, 7, 8, END])
    passages = [
        Passage(np.array([1, 2, 3, 4, 5], np.int32), ended=True),
        Passage(np.array([2, 3, 4, 9, 9], np.int32), ended=True),
        Passage(np.array([6, 7, 8], np.int32), ended=False),
    ]
    found = copy_rates(passages, longest_matches(passages, corpus, END), [3, 5])
    assert found.shares == {3: pytest.approx(5 / 7), 5: pytest.approx(1 / 2)}
    assert (found.longest, found.whole) == pytest.approx((5, 1 / 3))
