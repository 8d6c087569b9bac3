"""Prepared data: the folder that `prepare` writes and `train` and `evaluate` read. Mapped into memory, never loaded.

    description.json               what it was made from, how much of it there is, what was dropped and why
    encoder.json, vocab.bpe        the vocabulary its tokens are of
    train.tokens, train.roles      every document's tokens, one after another, each document's end among them; their roles
    train.ends                     where in these each document ends
    validation.*                   the same for the documents held out

A role says what a token is to the training: text to learn, or something to read that is only learned from when asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine.bundle import Template
from app.engine.tokenizer import Tokenizer
from app.errors import DataError

FORMAT = 1
Split = Literal["train", "validation"]
SPLITS: tuple[Split, ...] = ("train", "validation")


class Role(IntEnum):
    """What a token is to the training."""

    TEXT = 0
    """A document's own text, or the last turn of a conversation."""
    PROMPT = 1
    """What opens a conversation: a question, somebody's first turn."""
    META = 2
    """A control code before the text."""
    REPLY = 3
    """A turn between the first and the last."""


class DataDescription(msgspec.Struct, frozen=True, kw_only=True):
    """description.json. Counts are of documents unless they say tokens."""

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


@dataclass(frozen=True)
class Documents:
    """One split. Document i is tokens[ends[i - 1]:ends[i]], its last token the end of text (conversations have more)."""

    tokens: NDArray[np.uint32] | NDArray[np.uint16]
    roles: NDArray[np.uint8]
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ends)

    def span(self, index: int) -> tuple[int, int]:
        return int(self.ends[index - 1]) if index else 0, int(self.ends[index])

    def __getitem__(self, index: int) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """A document's tokens and their roles."""
        start, end = self.span(index)
        return self.tokens[start:end].astype(np.int32), np.asarray(self.roles[start:end])


@dataclass(frozen=True)
class Data:
    folder: Path
    description: DataDescription
    train: Documents
    validation: Documents

    @property
    def tokenizer(self) -> Tokenizer:
        return Tokenizer.from_gpt2(self.folder)


def token_type(n_vocab: int) -> type[np.uint16] | type[np.uint32]:
    return np.uint16 if n_vocab <= 2**16 else np.uint32


class SplitWriter:
    """Appends documents to one split, holding none of them.

    with SplitWriter(folder, "train", n_vocab) as writer:
        writer.add(tokens, roles)
    """

    def __init__(self, folder: Path, split: Split, n_vocab: int) -> None:
        self._type = token_type(n_vocab)
        self._stack = ExitStack()
        files = (
            self._stack.enter_context(file_of(folder, split, kind).open("wb")) for kind in ("tokens", "roles", "ends")
        )
        self._tokens, self._roles, self._ends = files
        self.documents = 0
        self.length = 0
        """Tokens so far."""

    def __enter__(self) -> SplitWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def add(self, tokens: Iterable[int], roles: Iterable[int]) -> None:
        """Add a document: its tokens with the end of text at the end, and a role for each."""
        ids = np.fromiter(tokens, self._type)
        self._tokens.write(ids.tobytes())
        self._roles.write(np.fromiter(roles, np.uint8, count=len(ids)).tobytes())
        self.documents += 1
        self.length += len(ids)
        self._ends.write(np.int64(self.length).tobytes())


def file_of(folder: Path, split: Split, kind: str) -> Path:
    return folder / f"{split}.{kind}"


def open_data(folder: Path) -> Data:
    """Map a folder that `prepare` wrote. Raises DataError naming the file that is wrong."""
    description = read_description(folder)
    splits = (open_split(folder, split, description) for split in SPLITS)
    return Data(folder, description, *splits)


def read_description(folder: Path) -> DataDescription:
    path = folder / "description.json"
    make = f"`python -m finetune prepare INPUT --out {folder}` makes it"
    if not path.is_file():
        raise DataError(f"{folder} is not prepared data ({path.name} is missing): {make}.")
    try:
        description = msgspec.json.decode(path.read_bytes(), type=DataDescription)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} does not describe prepared data ({error}): {make}.") from None
    if description.format != FORMAT:
        raise DataError(f"{path} has format {description.format} and this version reads {FORMAT}: {make}.")
    return description


def open_split(folder: Path, split: Split, description: DataDescription) -> Documents:
    tokens = map_file(file_of(folder, split, "tokens"), token_type(description.n_vocab), description.tokens[split])
    roles = map_file(file_of(folder, split, "roles"), np.uint8, description.tokens[split])
    ends = map_file(file_of(folder, split, "ends"), np.int64, description.documents[split])
    return Documents(tokens, roles, ends)


def map_file(path: Path, kind: type[np.generic], count: int) -> NDArray[Any]:
    size = count * np.dtype(kind).itemsize
    if not path.is_file() or path.stat().st_size != size:
        raise DataError(f"{path} is missing or not the {size:,} bytes it was: prepare the data again.")
    return np.memmap(path, kind, mode="r") if count else np.empty(0, kind)


def texts_of(data: Data, split: Split) -> Iterator[str]:
    """A split's documents as text again, without their ends."""
    tokenizer, end = data.tokenizer, data.description.end_of_text
    documents = data.train if split == "train" else data.validation
    for index in range(len(documents)):
        tokens, _ = documents[index]
        yield tokenizer.decode(token for token in tokens if token != end)
