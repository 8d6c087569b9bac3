"""The tokenizer: the ids of gpt-2-simple, and text that comes back byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest
from gpt_2_simple.src.encoder import get_encoder

from app.engine.checkpoint_folder import open_checkpoint
from app.engine.tokenizer import Detokenizer, Tokenizer

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
