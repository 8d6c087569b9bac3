"""The folder of prepared data: tokens, roles and counts, mapped into memory by `train`.

    description.json               its sources, options and counts, and how many documents were dropped and why
    encoder.json, vocab.bpe        the vocabulary of its tokens
    train.tokens, train.roles      the tokens of all documents, concatenated, each with its end of text; a role per token
    train.ends                     the index in these at which each document ends, or each part of one that was taken apart
    validation.*                   the same for the validation split

A token's role decides, with `train --learn`, whether it counts in the loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine.json_text import decode_json
from app.engine.templates import Template, layout_of
from app.engine.tokenizer import Tokenizer
from app.errors import DataError

FORMAT = 1
Split = Literal["train", "validation"]
SPLITS: tuple[Split, ...] = ("train", "validation")


class Role(IntEnum):
    """What a token belongs to."""

    TEXT = 0
    """A document's own text, or the last turn of a conversation."""
    PROMPT = 1
    """The first turn of a conversation."""
    META = 2
    """A control code before the text, or an end of text where a document was taken apart. It never counts in the loss."""
    REPLY = 3
    """A turn of a conversation between the first and the last."""


class DataDescription(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """description.json. `read`, `dropped` and `documents` count documents.

    `stretches` counts the parts in which they lie in the files, where a long document was taken apart. `replaced` counts personal
    data in chats, by kind. `private`: people wrote some of the text, and not to everybody; None in older data, which may be.
    `files_sha256` is of the files that were read, as they are on disk. `columns` are those of tables that were read because of
    their names.
    """

    format: int
    sources: list[str]
    corpus_sha256: str
    template: Template
    n_vocab: int
    end_of_text: int
    read: int
    dropped: dict[str, int]
    documents: dict[str, int]
    tokens: dict[str, int]
    options: dict[str, str | int | float | bool | None]
    made: dict[str, str]
    stretches: dict[str, int] | None = None
    replaced: dict[str, int] | None = None
    private: bool | None = None
    files_sha256: str | None = None
    columns: dict[str, list[str]] | None = None

    def __post_init__(self) -> None:
        layout_of(self.template)
        for name, counts in (("documents", self.documents), ("tokens", self.tokens), ("stretches", self.stretches)):
            if counts is not None and any(counts.get(split, -1) < 0 for split in SPLITS):
                raise ValueError(f"{name} should have a number for each of {' and '.join(SPLITS)}")
        if not 0 <= self.end_of_text < self.n_vocab:
            raise ValueError(f"end_of_text is {self.end_of_text}, and the vocabulary has {self.n_vocab} tokens")


@dataclass(frozen=True)
class Documents:
    """The documents of one split. Document i is tokens[ends[i - 1]:ends[i]].

    Its last token is the end of text. A chat also has one after each turn. A long document from which something was dropped or
    held out is several here, one for each part that is left.
    """

    tokens: NDArray[np.uint32] | NDArray[np.uint16]
    roles: NDArray[np.uint8]
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ends)

    def span(self, index: int) -> tuple[int, int]:
        """Where a document starts and ends in `tokens`."""
        return int(self.ends[index - 1]) if index else 0, int(self.ends[index])

    def __getitem__(self, index: int) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """A document's tokens [n] and their roles [n]."""
        start, end = self.span(index)
        return self.tokens[start:end].astype(np.int32), np.asarray(self.roles[start:end])


@dataclass(frozen=True)
class Data:
    """An opened folder of prepared data."""

    folder: Path
    description: DataDescription
    train: Documents
    validation: Documents

    @property
    def tokenizer(self) -> Tokenizer:
        return Tokenizer.from_gpt2(self.folder)


class TokenBlock(NamedTuple):
    """The tokens of several documents, a role for each token, and the number of tokens of each document."""

    tokens: NDArray[np.uint32]
    roles: NDArray[np.uint8]
    lengths: NDArray[np.int64]

    def only(self, chosen: NDArray[np.bool_]) -> TokenBlock:
        """The documents that are `chosen`, [document]."""
        tokens = np.repeat(chosen, self.lengths)
        return TokenBlock(self.tokens[tokens], self.roles[tokens], self.lengths[chosen])

    def bordered(self, chosen: NDArray[np.bool_], end: int) -> TokenBlock:
        """The same, with an end of text that does not count in the loss after those that are `chosen`, [document]."""
        if not chosen.any():
            return self
        places = np.cumsum(self.lengths)[chosen]
        return TokenBlock(
            np.insert(self.tokens, places, end), np.insert(self.roles, places, Role.META), self.lengths + chosen
        )


def token_type(n_vocab: int) -> type[np.uint16] | type[np.uint32]:
    return np.uint16 if n_vocab <= 2**16 else np.uint32


class SplitWriter:
    """Appends documents to the files of one split.

    with SplitWriter(folder, "train", n_vocab) as writer:
        writer.add(block, joined)
    """

    def __init__(self, folder: Path, split: Split, n_vocab: int) -> None:
        self._type = token_type(n_vocab)
        self._stack = ExitStack()
        files = (
            self._stack.enter_context(file_of(folder, split, kind).open("wb")) for kind in ("tokens", "roles", "ends")
        )
        self._tokens, self._roles, self._ends = files
        self.stretches = 0
        self.length = 0
        """Tokens written so far."""

    def __enter__(self) -> SplitWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def add(self, block: TokenBlock, joined: NDArray[np.bool_]) -> None:
        """Append documents or stretches, those that are `joined` together with the next. Each other one has its end of text."""
        self._tokens.write(block.tokens.astype(self._type).tobytes())
        self._roles.write(block.roles.tobytes())
        self._ends.write((self.length + np.cumsum(block.lengths)[~joined]).tobytes())
        self.stretches += int(np.count_nonzero(~joined))
        self.length += len(block.tokens)


def file_of(folder: Path, split: Split, kind: str) -> Path:
    return folder / f"{split}.{kind}"


def open_data(folder: Path) -> Data:
    """Map a folder that `prepare` wrote into memory. Raises DataError naming the file that is missing or damaged."""
    description = read_description(folder)
    splits = (open_split(folder, split, description) for split in SPLITS)
    return Data(folder, description, *splits)


def read_description(folder: Path) -> DataDescription:
    path = folder / "description.json"
    make = f"`python -m finetune prepare INPUT --out {folder}` creates it"
    if not path.is_file():
        raise DataError(f"{folder} is not prepared data ({path.name} is missing): {make}.")
    try:
        description = decode_json(path.read_bytes(), DataDescription)
    except msgspec.DecodeError as error:
        raise DataError(f"{path} does not describe prepared data ({error}): {make}.") from None
    if description.format != FORMAT:
        raise DataError(f"{path} has format {description.format} and this version reads format {FORMAT}: {make}.")
    return description


def open_split(folder: Path, split: Split, description: DataDescription) -> Documents:
    tokens = map_file(file_of(folder, split, "tokens"), token_type(description.n_vocab), description.tokens[split])
    roles = map_file(file_of(folder, split, "roles"), np.uint8, description.tokens[split])
    stretches = description.stretches or description.documents
    ends = map_file(file_of(folder, split, "ends"), np.int64, stretches[split])
    if (ends[-1] if len(ends) else 0) != len(tokens):
        raise DataError(f"{file_of(folder, split, 'ends')} is not of these tokens: prepare the data again.")
    return Documents(tokens, roles, ends)


def map_file(path: Path, kind: type[np.generic], count: int) -> NDArray[Any]:
    size = count * np.dtype(kind).itemsize
    if not path.is_file() or path.stat().st_size != size:
        raise DataError(f"{path} is missing or does not have its {size:,} bytes: prepare the data again.")
    return np.memmap(path, kind, mode="r") if count else np.empty(0, kind)


def texts_of(data: Data, split: Split) -> Iterator[str]:
    """The documents of a split, decoded into text, without ends of text."""
    tokenizer, end = data.tokenizer, data.description.end_of_text
    documents = data.train if split == "train" else data.validation
    for index in range(len(documents)):
        tokens, _ = documents[index]
        yield tokenizer.decode(token for token in tokens if token != end)
