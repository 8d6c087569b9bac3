"""Exact copies and near duplicates are found, and nothing that only looks similar."""

from __future__ import annotations

import random
import re
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.data.near_duplicates import MIX, Signatures, copies, key, mix, near_copies, sign, triples, word_hashes

WORDS = [f"word{number}" for number in range(5000)]


def text(length: int, seed: int) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=length))


def near(texts: list[str], threshold: float = 0.85) -> list[int]:
    none = np.zeros(len(texts), np.bool_)
    return np.flatnonzero(near_copies(signed(texts), none, texts.__getitem__, threshold)).tolist()


def signed(texts: list[str]) -> Signatures:
    return sign(word_hashes(texts))


def changed(words: str, at: int) -> str:
    return " ".join("other" if number == at else word for number, word in enumerate(words.split()))


def test_the_first_of_several_copies_stays() -> None:
    keys = np.frombuffer(b"".join(map(key, [b"a", b"b", b"c", b"a", b"b"])), "<u8").reshape(-1, 2)
    assert copies(keys).tolist() == [False, False, False, True, True]


def test_keys_and_signatures_are_the_same_on_every_machine() -> None:
    """Otherwise a document would move between train and validation."""
    assert key(b"Yes.").hex() == "3af3821278c480251f340d0432b62f1c"
    assert signed(["Why did the duck cross the road?"])[0, :4].tolist() == [56801, 61364, 16449, 8941]


@given(st.lists(st.text(max_size=40), min_size=1, max_size=5))
def test_triples_are_those_of_each_text_by_itself(texts: list[str]) -> None:
    """Written plainly: three words in a row, in lower case and without punctuation, with two marks around each text."""
    expected = []
    for said in texts:
        words = [0, 0, *map(zlib.crc32, re.sub(r"[\W_]+", " ", said.casefold()).encode().split()), 0, 0]
        mixed = mix(np.array(words, np.uint64))
        factors = np.array(MIX)
        expected += [mix((mixed[at : at + 3] * factors).sum(keepdims=True))[0] for at in range(len(words) - 2)]
    found, starts = triples(word_hashes(texts))
    assert found.tolist() == expected
    assert starts[0] == 0


def test_case_punctuation_and_spacing_make_no_difference() -> None:
    assert near(["Why not?", "why  NOT", "why not today"]) == [1]


def test_texts_without_words_are_never_duplicates() -> None:
    assert near(["😂😂", "👍", "?!", "…"]) == []


def test_one_word_changed_in_a_short_text_is_another_text() -> None:
    for length in (2, 5, 10, 20, 30):
        for at in range(0, length, 3):
            assert near([text(length, 1), changed(text(length, 1), at)]) == []


def test_one_word_changed_in_a_long_text_is_the_same_text() -> None:
    for at in range(0, 100, 7):
        assert near([text(100, 1), changed(text(100, 1), at)]) == [1]


@pytest.mark.parametrize(("threshold", "dropped"), [(0.7, [1]), (0.8, [1]), (0.85, []), (1.0, [])])
def test_the_threshold_is_the_share_of_triples_in_common(threshold: float, dropped: list[int]) -> None:
    """29 words are 31 triples; a change in the middle leaves 28 of 34."""
    assert near([text(29, 1), changed(text(29, 1), 14)], threshold) == dropped


def test_one_template_with_other_words_in_it_is_no_duplicate() -> None:
    head = "I am a bot, and this action was performed automatically. Please contact the moderators about"
    assert near([f"{head} {text(8, seed)}" for seed in range(500)]) == []


def test_all_near_copies_are_found_and_nothing_else() -> None:
    """A tenth of 3,000 texts are long near copies of another."""
    texts = [text(60, seed) for seed in range(2700)]
    texts += [changed(texts[seed], 30).upper() for seed in range(300)]
    assert near(texts) == list(range(2700, 3000))


def test_a_text_that_is_similar_only_to_a_dropped_one_is_kept() -> None:
    """Otherwise a chain of small changes would drop everything."""
    first = text(40, 1)
    texts = [first, changed(first, 5), changed(changed(first, 5), 35)]
    assert near(texts) in ([1], [1, 2])
    assert near(texts[::2]) == []


def test_a_dropped_document_drops_no_other() -> None:
    texts = ["Same words.", "same words"]
    assert not near_copies(signed(texts), np.array([True, False]), texts.__getitem__, 0.85).any()
