"""Form does not betray who wrote a text: signs, white space and length are the same for both."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.blind.fair_form import LONGEST, fair, fair_answer
from app.blind.jokes import Joke

LONG = "One sentence of a text that does not come to an end. " * 20


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (" Because. ", "Because."),
        ("“It’s — well … late,”\u00a0he said.", '"It\'s - well ... late," he said.'),
        ("One.\n\n  Two.\tThree.", "One. Two. Three."),
        ("no end", "no end"),
        ("👍🏽 مرحبا", "👍🏽 مرحبا"),
    ],
)
def test_both_are_typed_alike(written: str, shown: str) -> None:
    assert fair(Joke("", written)).answer == shown
    assert fair_answer(written, Joke("", "x" * 50), ended=True) == shown


def test_a_long_text_ends_with_a_sentence() -> None:
    """Of both: else a length that only one of them can have would tell."""
    shown = fair(Joke("", LONG)).answer
    assert LONGEST - 60 < len(shown) <= LONGEST
    assert shown.endswith("an end.")
    assert fair_answer(LONG, Joke("", LONG[:LONGEST]), ended=True) == shown


@pytest.mark.parametrize(("length", "sentences"), [(1, 1), (52, 1), (53, 2), (120, 3), (LONGEST, 7)])
def test_a_model_that_does_not_end_writes_as_much_as_the_person(length: int, sentences: int) -> None:
    """It would always be the longest text otherwise."""
    shown = fair_answer(LONG, Joke("Why?", "x" * length), ended=False)
    assert shown.count("an end.") == sentences
    assert shown.endswith("an end.")


def test_a_text_without_sentences_is_cut_between_words() -> None:
    assert fair_answer("word " * 200, Joke("", "x" * 12), ended=False) == "word word word"
    assert len(fair_answer("x" * 900, Joke("", "x" * 12), ended=False)) == LONGEST


@given(st.text(max_size=1000), st.integers(0, LONGEST), st.booleans())
def test_whatever_is_written_fits_and_is_one_line(written: str, length: int, ended: bool) -> None:
    shown = fair_answer(written, Joke("", "x" * length), ended)
    assert len(shown) <= LONGEST
    assert shown == " ".join(shown.split())
    assert bool(shown) == bool(written.replace("\ufeff", "").strip())
