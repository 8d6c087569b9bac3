"""GPT-2's vocabulary files: encoder.json numbers the tokens, vocab.bpe has the merges of byte pairs in order.

Both may be formatted in any way: indented, sorted, with escapes, byte-order marks or the line ends of Windows. Two vocabularies
are the same if their numbers and merges are.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from app.engine.bundle import LARGEST_TEXT
from app.engine.json_text import decode_json, read_bounded
from app.engine.wrong_files import wrong_file
from app.errors import CheckpointError

VOCABULARY_FILES = ("encoder.json", "vocab.bpe")
LOST = 0.01
"""The share of the tokens that begin with a space and that no merge makes: more are not added by hand but lost in a file."""
COPY_FILE_AGAIN = "copy it again from the model it belongs to"
VERSION_LINE = "#version: 0.2"


@dataclass(frozen=True)
class BytePairs:
    """`ids` are the tokens, spelled in GPT-2's alphabet, with their numbers; `merges` the pairs, the most frequent first."""

    ids: dict[str, int]
    merges: list[tuple[str, str]]

    @property
    def outside(self) -> list[str]:
        """The tokens that no text is ever split into, such as <|endoftext|>: neither a character nor made by a merge."""
        made = {left + right for left, right in self.merges}
        return [token for token in self.ids if len(token) > 1 and token not in made]


def read_byte_pairs(folder: Path, names: Sequence[str] = VOCABULARY_FILES) -> BytePairs:
    """Read the two files, which Hugging Face names otherwise. Raises CheckpointError naming the file that is wrong."""
    encoder, merges = (folder / name for name in names)
    return BytePairs(read_ids(encoder), read_merges(merges))


def read_ids(path: Path) -> dict[str, int]:
    try:
        return decode_json(read_text(path), dict[str, int])
    except msgspec.DecodeError as error:
        raise CheckpointError(f"{path} is not a vocabulary ({error})", COPY_FILE_AGAIN) from None


def read_merges(path: Path) -> list[tuple[str, str]]:
    merges = []
    for number, line in enumerate(read_text(path).split("\n"), 1):
        parts = line.split()
        if not parts or line.startswith("#version"):
            continue
        if len(parts) != 2:
            raise CheckpointError(
                f"{path} is not a list of merges (line {number} is not two tokens)",
                COPY_FILE_AGAIN,
            )
        merges.append((parts[0], parts[1]))
    return merges


def read_text(path: Path) -> str:
    """The text of a model's file, without a byte-order mark. Raises CheckpointError."""
    if found := wrong_file(path):
        raise CheckpointError(*found)
    try:
        text = read_bounded(path, LARGEST_TEXT).decode("utf-8-sig")
        return text.replace("\r\n", "\n")
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read ({error.strerror})", "copy it from the model it belongs to"
        ) from None
    except UnicodeDecodeError:
        raise CheckpointError(f"{path} is not text", COPY_FILE_AGAIN) from None
    except ValueError as error:
        raise CheckpointError(f"{path} is no file of a model: {error}", COPY_FILE_AGAIN) from None


def refuse_gaps(byte_pairs: BytePairs, encoder: Path, merges: Path) -> None:
    """Raises CheckpointError unless the ids are 0 to n - 1, each once, and the merges make the words that have an id."""
    numbers, size = set(byte_pairs.ids.values()), len(byte_pairs.ids)
    if numbers != set(range(size)):
        raise CheckpointError(
            f"{encoder} has {size} tokens, whose ids should be 0 to {size - 1}, each once",
            COPY_FILE_AGAIN,
        )
    # Tokens that are added by hand seldom begin with a space, which is Ġ in the alphabet.
    lost = [token for token in byte_pairs.outside if token.startswith("Ġ")]
    if len(lost) > LOST * size:
        raise CheckpointError(
            f"{merges} lacks the merges of {len(lost)} tokens, such as {lost[0]}",
            "it is cut off or of another model: copy it again",
        )


def encode_byte_pairs(byte_pairs: BytePairs, names: Sequence[str] = VOCABULARY_FILES) -> dict[str, bytes]:
    """The content of both files as OpenAI formatted them: gpt-2-simple and transformers read no other form of vocab.bpe."""
    encoder, merges = names
    by_id = dict(sorted(byte_pairs.ids.items(), key=lambda item: item[1]))
    lines = [VERSION_LINE, *map(" ".join, byte_pairs.merges), ""]
    return {encoder: json.dumps(by_id).encode(), merges: "\n".join(lines).encode()}


def write_byte_pairs(byte_pairs: BytePairs, folder: Path, names: Sequence[str] = VOCABULARY_FILES) -> None:
    for name, content in encode_byte_pairs(byte_pairs, names).items():
        (folder / name).write_bytes(content)
