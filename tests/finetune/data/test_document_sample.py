"""The sample on which losses are measured is like the whole, and the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.data.document_sample import sample_documents
from finetune.data.prepared import Documents


def documents(lengths: list[int]) -> Documents:
    """Documents whose tokens are all different."""
    ends = np.cumsum(lengths, dtype=np.int64)
    total = sum(lengths)
    return Documents(np.arange(total, dtype=np.uint32), np.zeros(total, np.uint8), ends)


def test_a_sample_is_as_long_as_the_documents_are() -> None:
    """The sample held the longest documents: 69 of mean length 297, out of 6,000 of mean length 59."""
    lengths = np.random.default_rng(0).lognormal(3.7, 0.9, 6000).astype(int).clip(3, 1000)
    sample = sample_documents(documents(lengths.tolist()), 20_000)
    assert len(sample.tokens) == 20_000
    assert np.diff(sample.ends, prepend=0).mean() == pytest.approx(lengths.mean(), rel=0.15)
    halves = sample.tokens < lengths.sum() / 2
    assert halves.mean() == pytest.approx(0.5, abs=0.1)


def test_a_larger_sample_begins_with_the_smaller_one() -> None:
    whole = documents(list(range(1, 90)))
    small, large = (sample_documents(whole, most).tokens.tolist() for most in (200, 900))
    assert large[:200] == small
    assert sample_documents(whole, 200, seed=1).tokens.tolist() != small


@given(st.lists(st.integers(1, 30), max_size=12), st.integers(0, 200))
def test_a_sample_has_whole_documents_and_at_most_one_that_is_cut(lengths: list[int], most: int) -> None:
    whole = documents(lengths)
    sample = sample_documents(whole, most)
    assert len(sample.tokens) == len(sample.roles) == min(most, sum(lengths))
    known = [whole[index][0].tolist() for index in range(len(whole))]
    found = [sample[index][0].tolist() for index in range(len(sample))]
    assert all(document in known for document in found[:-1])
    assert not found or any(document[: len(found[-1])] == found[-1] for document in known)
    assert len({document[0] for document in found}) == len(found)
