"""GPT-2's byte-pair tokenizer: text to token ids and back, any script, byte for byte.

Works on the `tokenizers` library; tokenizer.json in a bundle is that library's own format. No text is special:
`<|endoftext|>` in a prompt is the seven ordinary tokens that gpt-2-simple makes of it, never the id that ends a text.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers

END_OF_TEXT = "<|endoftext|>"


class Tokenizer:
    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        self._tokenizer = tokenizer
        # ByteLevel writes every byte as one printable character; this is the way back.
        self._alphabet = {character: byte for byte, character in enumerate(byte_characters())}

    @classmethod
    def from_file(cls, path: Path) -> Tokenizer:
        return cls(tokenizers.Tokenizer.from_file(str(path)))

    @classmethod
    def from_gpt2(cls, folder: Path) -> Tokenizer:
        """Read the encoder.json and vocab.bpe of a checkpoint. Raises whatever a file that is no such thing leads to."""
        vocabulary = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
        lines = (folder / "vocab.bpe").read_text(encoding="utf-8").split("\n")[1:-1]
        merges = [(left, right) for left, right in (line.split() for line in lines)]
        tokenizer = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        return cls(tokenizer)

    def save(self, path: Path) -> None:
        self._tokenizer.save(str(path), pretty=False)

    def __len__(self) -> int:
        size: int = self._tokenizer.get_vocab_size()
        return size

    @property
    def end_of_text(self) -> int | None:
        """The id of the token that ends a text, where the vocabulary has one."""
        found: int | None = self._tokenizer.token_to_id(END_OF_TEXT)
        return found

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Encode several texts, on all cores."""
        return [found.ids for found in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    def bytes_of(self, token: int) -> bytes:
        return bytes(self._alphabet[character] for character in self._tokenizer.id_to_token(token) or "")

    def decode(self, tokens: Iterable[int]) -> str:
        return b"".join(map(self.bytes_of, tokens)).decode("utf-8", errors="replace")


class Detokenizer:
    """Tokens in, whole characters out: a character cut in two by a token border waits for its second half."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def add(self, token: int) -> str:
        return self._decoder.decode(self._tokenizer.bytes_of(token))


def byte_characters() -> Sequence[str]:
    """The character that stands for each byte 0–255 in GPT-2's vocabulary files.

    Printable Latin-1 stands for itself; the other 68 bytes are numbered upwards from U+0100.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]
