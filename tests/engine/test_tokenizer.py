"""The tokenizer: the ids of gpt-2-simple, and text that comes back byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest
import tokenizers
from gpt_2_simple.src.encoder import get_encoder
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import models

from app.engine.checkpoint_folder import open_checkpoint
from app.engine.tokenizer import Detokenizer, Tokenizer, byte_characters

SCRIPTS = [
    "Why did the duck cross the road?",
    "👍🏽 first, then family 👨‍👩‍👧 and flag 🇨🇭",
    "Größe, naïve, Ærø — “quotes”…",
    "日本語のテキスト、中文文本、한국어",
    "مرحبا بالعالم שלום עולם",
    "नमस्ते दुनिया สวัสดีชาวโลก",
    "tabs\tand\r\nnew  lines   \n\n  and trailing ",
    "don't we'll I've he's 1234 !!! ??",
    "<|startoftext|>markers<|endoftext|>",
    "\x00\x01 control \x7f",
    "",
]


@pytest.fixture(scope="module")
def tokenizer(checkpoint: Path) -> Tokenizer:
    return open_checkpoint(checkpoint).tokenizer


@pytest.mark.parametrize("text", SCRIPTS)
def test_ids_are_those_of_gpt_2_simple(tokenizer: Tokenizer, checkpoint: Path, text: str) -> None:
    assert tokenizer.encode(text) == get_encoder(str(checkpoint)).encode(text)


@pytest.mark.parametrize("text", SCRIPTS)
def test_text_comes_back_byte_for_byte(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_a_character_of_several_tokens_comes_whole(tokenizer: Tokenizer) -> None:
    """Fixed: an emoji, which is up to four tokens, came back broken when a prefix began with it."""
    characters = Detokenizer(tokenizer)
    shown = [characters.add(token) for token in tokenizer.encode("a👍b")]
    assert "".join(shown) == "a👍b"
    assert "\ufffd" not in "".join(shown)
    assert "" in shown


def test_no_text_becomes_the_end_of_text_token(tokenizer: Tokenizer) -> None:
    """Otherwise a prompt could end itself."""
    assert tokenizer.end_of_text not in tokenizer.encode("<|endoftext|>")
    assert len(tokenizer.encode("<|endoftext|>")) > 1


def test_a_saved_tokenizer_is_the_same(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "tokenizer.json")
    again = Tokenizer.from_file(tmp_path / "tokenizer.json")
    assert [again.encode(text) for text in SCRIPTS] == [tokenizer.encode(text) for text in SCRIPTS]
    assert (len(again), again.end_of_text) == (len(tokenizer), tokenizer.end_of_text)


@given(text=st.text())
def test_a_text_has_no_fewer_tokens_than_its_bytes_need(tokenizer: Tokenizer, text: str) -> None:
    """By this, a prompt that no window could hold is refused before it is tokenized."""
    assert tokenizer.fewest(len(text.encode())) <= len(tokenizer.encode(text))


def test_a_text_of_the_longest_token_has_the_fewest_tokens() -> None:
    bytes_and_a_word = {**dict(zip(byte_characters(), range(256), strict=True)), "word": 256}
    merged = Tokenizer(tokenizers.Tokenizer(models.BPE(bytes_and_a_word, [])))
    assert [merged.fewest(size) for size in (0, 4, 5, 400)] == [0, 1, 2, 100]


def test_a_vocabulary_that_may_lose_characters_says_nothing_of_the_fewest() -> None:
    assert Tokenizer(tokenizers.Tokenizer(models.BPE({"a": 0}, []))).fewest(10**6) == 0
