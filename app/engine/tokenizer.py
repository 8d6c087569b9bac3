"""GPT-2's byte-pair tokenizer: text to token ids and back, any script, byte for byte.

It uses the `tokenizers` library, whose own format is tokenizer.json in a bundle. No text is special: `<|endoftext|>` in a prompt
becomes the seven ordinary tokens that gpt-2-simple makes of it, never the token that ends a text.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from app.engine.vocabulary_files import VOCABULARY_FILES, BytePairs, read_byte_pairs, refuse_gaps
from app.errors import CheckpointError

END_OF_TEXT = "<|endoftext|>"
# Characters. The library encodes batches without Python's lock, so that other threads go on; for a short text that is slower.
LONG = 1000

SAMPLE = "Straße in 東京: \t3.5 £ e\u0301\n  <|endoftext|> [PAD] 🦆"
"""A text that a vocabulary for another kind of model does not give back."""


class Tokenizer:
    """A vocabulary. `len` is the number of its tokens."""

    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        self._tokenizer = tokenizer
        # The library writes each byte as one printable character; this maps the characters back to bytes.
        self._alphabet = {character: byte for byte, character in enumerate(byte_characters())}
        # By token, of those that were asked for: the log probabilities of long texts ask a hundred thousand times.
        self._bytes: dict[int, bytes] = {}

    @classmethod
    def from_file(cls, path: Path) -> Tokenizer:
        """Read a tokenizer.json. Raises whatever the library raises for another file, which may be a bare Exception."""
        return cls(tokenizers.Tokenizer.from_file(str(path)))

    @classmethod
    def from_gpt2(cls, folder: Path) -> Tokenizer:
        """Read the encoder.json and vocab.bpe of a checkpoint. Raises CheckpointError."""
        return cls.from_byte_pairs(read_byte_pairs(folder), folder)

    @classmethod
    def from_byte_pairs(cls, byte_pairs: BytePairs, folder: Path, names: Sequence[str] = VOCABULARY_FILES) -> Tokenizer:
        """The tokenizer of a vocabulary that is from these two files of `folder`. Raises CheckpointError."""
        encoder, merges = (folder / name for name in names)
        refuse_gaps(byte_pairs, encoder, merges)
        try:
            tokenizer = tokenizers.Tokenizer(models.BPE(vocab=byte_pairs.ids, merges=byte_pairs.merges))
        except Exception as error:  # The library raises bare Exceptions for a vocabulary that it cannot use.
            raise CheckpointError(
                f"{encoder} and {merges.name} are not a GPT-2 vocabulary ({error})",
                "copy both from the model they belong to",
            ) from None
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        return cls(tokenizer)

    def save(self, path: Path) -> None:
        """Write a tokenizer.json.

        Its merges are strings, with a space between the two parts. The library writes lists, and reads those half as fast.
        """
        written = json.loads(self._tokenizer.to_str())
        written["model"]["merges"] = [" ".join(pair) for pair in written["model"]["merges"]]
        path.write_text(json.dumps(written, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")

    def __len__(self) -> int:
        size: int = self._tokenizer.get_vocab_size()
        return size

    @property
    def end_of_text(self) -> int | None:
        """The id of the token that ends a text, or None if the vocabulary has none."""
        found: int | None = self._tokenizer.token_to_id(END_OF_TEXT)
        return found

    @property
    def is_numbered(self) -> bool:
        """Whether the ids are 0 to n - 1, each with a token."""
        return None not in map(self._tokenizer.id_to_token, range(len(self)))

    @property
    def keeps_text(self) -> bool:
        """Whether any text comes back as it was: each byte has a token, and nothing is cut, added or changed."""
        known = self._tokenizer.token_to_id
        alphabet = all(known(character) is not None for character in self._alphabet)
        return alphabet and self.decode(self.encode(SAMPLE)) == SAMPLE

    def encode(self, text: str) -> list[int]:
        if len(text) > LONG:
            return self.encode_batch([text])[0]
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text, computed on all cores."""
        return [found.ids for found in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    def fewest(self, size: int) -> int:
        """The fewest tokens that a text of `size` bytes can have, 0 where that is not known."""
        return -(-size // self._longest) if self._longest else 0

    @cached_property
    def _longest(self) -> int:
        """The bytes of the longest token, 0 if a text may lose some of its own. Takes 20 ms for 50,000 tokens."""
        vocabulary: dict[str, int] = self._tokenizer.get_vocab()
        if self._tokenizer.normalizer is not None or not self._alphabet.keys() <= vocabulary.keys():
            return 0
        added = (str(token.content).encode() for token in self._tokenizer.get_added_tokens_decoder().values())
        return max(map(len, [*vocabulary, *added]))

    def bytes_of(self, token: int) -> bytes:
        """The bytes that a token stands for; none for an id that the vocabulary lacks."""
        found = self._bytes.get(token)
        if found is None:
            found = self._bytes[token] = self._read_bytes(token)
        return found

    def _read_bytes(self, token: int) -> bytes:
        spelled: str = self._tokenizer.id_to_token(token) or ""
        try:
            return bytes(self._alphabet[character] for character in spelled)
        except KeyError:
            # A token that was added by hand, with a space or the like: it stands for itself, as in the library.
            return spelled.encode()

    def decode(self, tokens: Iterable[int]) -> str:
        """The tokens as text. Bytes that are not UTF-8 become U+FFFD."""
        return b"".join(map(self.bytes_of, tokens)).decode("utf-8", errors="replace")


class Detokenizer:
    """Tokens in, whole characters out. A character that spans two tokens comes with the second."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def add(self, token: int) -> str:
        """The characters that are complete with this token."""
        return self._decoder.decode(self._tokenizer.bytes_of(token))


def byte_characters() -> Sequence[str]:
    """The characters that stand for the bytes 0–255 in GPT-2's vocabulary files.

    Printable Latin-1 characters stand for themselves. The other 68 bytes have the characters from U+0100 on, in order.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]
