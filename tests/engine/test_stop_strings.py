"""Stop strings are found across token borders, and no part of one is ever shown."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.fake import byte_tokenizer
from app.engine.stop_strings import StopStringFilter, overlap
from app.engine.templates import stop_tags
from app.engine.tokenizer import Tokenizer
from tests.conftest import ROOT


def read(text: str, stops: list[str], strip: str = "") -> tuple[str, list[str], bool]:
    """Feed the text byte by byte. Returns the shown text, its pieces, and whether it stopped."""
    grown = StopStringFilter(byte_tokenizer(), stops, strip)
    shown = []
    for token in text.encode():
        shown.append(grown.add(token))
        if grown.stopped:
            break
    return "".join([*shown, grown.rest()]), shown, grown.stopped


def test_a_stop_string_ends_the_text_before_it() -> None:
    assert read("Yes.<|endoftext|>More", ["<|endoftext|>"])[::2] == ("Yes.", True)


def test_no_part_of_a_stop_string_is_shown() -> None:
    _, shown, _ = read("Yes.<|endoftext|>", ["<|endoftext|>"])
    assert "".join(shown) == "Yes."


def test_an_incomplete_stop_string_is_shown_in_the_end() -> None:
    assert read("a <|end of it", ["<|endoftext|>"])[::2] == ("a <|end of it", False)


def test_the_first_of_several_stop_strings_counts() -> None:
    assert read("one two three", ["three", "two"])[0] == "one "


def test_leading_newlines_can_be_stripped() -> None:
    """Fixed: leading newlines were found as the stop string before they were stripped, so the text was empty."""
    assert read("\n\nHello\nworld", ["\n"], strip="\n")[0] == "Hello"
    assert read("\n\nHello", [], strip="")[0] == "\n\nHello"


def test_half_a_character_at_the_end_is_not_shown() -> None:
    grown = StopStringFilter(byte_tokenizer(), [])
    shown = "".join(grown.add(token) for token in "ok👍".encode()[:-1])
    assert shown + grown.rest() == "ok"


@pytest.mark.parametrize(
    ("text", "stop", "expected"), [("aab", "abc", 2), ("aa", "aab", 2), ("xyz", "abc", 0), ("", "a", 0)]
)
def test_overlap(text: str, stop: str, expected: int) -> None:
    assert overlap(text, stop) == expected


def test_a_stop_string_may_be_shown() -> None:
    text = StopStringFilter(byte_tokenizer(), ["!"], shown_stops=["stop"])
    assert "".join(text.add(byte) for byte in b"Now stop!") == "Now stop"
    assert text.stopped


def test_a_stop_string_counts_if_it_ends_where_the_text_may_stop() -> None:
    text = StopStringFilter(byte_tokenizer(), ["ab"])
    shown = "".join(text.add(byte, may_stop=number >= 4) for number, byte in enumerate(b"ababab"))
    assert shown == "abab"
    assert text.stopped


def test_settled_characters_are_those_shown_or_dropped() -> None:
    text = StopStringFilter(byte_tokenizer(), ["xyz"], strip=" ")
    for byte in b"  abx":
        text.add(byte)
    assert (text.length, text.settled) == (5, 4)


STARTER = Tokenizer.from_file(ROOT / "models/starter/tokenizer.json")
TAG = re.compile(r"\s*\[(QUESTION|ANSWER)\]")
PART_OF_A_TAG = re.compile(r"\s*(\[|\[Q|\[QU|\[QUESTION|\[A|\[ANSWER)\Z")
pieces = st.sampled_from(
    ["Yes", ".", " ", "\n", "[", "]", "[QUESTION]", "[ANSWER]", "[ANSWER", "[QU", "[A", "[]", "[ANS]", "🦆"]
)


@given(text=st.lists(pieces, max_size=8).map("".join), splits=st.booleans())
def test_the_turn_of_a_model_ends_before_any_tag_and_shows_no_part_of_one(text: str, splits: bool) -> None:
    """The tag at the beginning of a line was searched for only, and only that of a question: replies showed [ANSWER]."""
    tokenizer = byte_tokenizer() if splits else STARTER
    said = text.lstrip(" \n")
    found = TAG.search(said)
    expected = said[: found.start()] if found else PART_OF_A_TAG.sub("", said)
    grown, shown = StopStringFilter(tokenizer, (), " \n", tags=stop_tags("qa")), ""
    for token in tokenizer.encode(text):
        shown += grown.add(token)
        assert expected.startswith(shown)
        if grown.stopped:
            break
    assert (grown.stopped, shown + grown.rest()) == (bool(found), expected)


@pytest.mark.parametrize(
    ("text", "shown"), [("a [QUES", "a"), ("a \n", "a \n"), ("a [", "a"), ("[ANSWER", ""), ("a [b", "a [b")]
)
def test_a_mark_that_is_broken_off_is_not_shown(text: str, shown: str) -> None:
    grown = StopStringFilter(byte_tokenizer(), (), tags=stop_tags("qa"))
    assert "".join([*map(grown.add, text.encode()), grown.rest()]) == shown


def test_a_mark_is_left_out_where_the_text_may_not_stop_yet() -> None:
    """A reply with min_tokens once showed the tag of the next question."""
    grown = StopStringFilter(byte_tokenizer(), ["no"], tags=stop_tags("qa"))
    shown = "".join(
        grown.add(byte, may_stop=number > 20) for number, byte in enumerate(b"Yes [QUESTION] no? [ANSWER] So.")
    )
    assert (shown, grown.stopped) == ("Yes no?", True)
