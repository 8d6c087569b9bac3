"""Spool: the documents that were read, kept on disk until they are tokenized.

Each document's parts, their end offset, its key and its MinHash signature are appended to four files, which are mapped into
memory for reading.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from finetune.data.documents import Document, text_of
from finetune.data.near_duplicates import BANDS, ROWS, Signatures, key, sign

FILES = ("documents", "ends", "keys", "signatures")
BLOCK_DOCUMENTS, BLOCK_CHARACTERS = 5000, 2**20
"""A block ends at whichever comes first."""


class Spool:
    """Reads what `write_spool` wrote: documents, keys [document, 2] and signatures [document, function]."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "documents"
        self._ends = read_numbers(folder / "ends", "<i8")
        self.keys: NDArray[np.uint64] = read_numbers(folder / "keys", "<u8").reshape(-1, 2)
        self.signatures: Signatures = read_numbers(folder / "signatures", "<u2").reshape(-1, BANDS * ROWS)
        self._file = os.open(self._path, os.O_RDONLY)
        self._decoder = msgspec.msgpack.Decoder(Document)

    def close(self) -> None:
        os.close(self._file)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, number: int) -> Document:
        start = int(self._ends[number - 1]) if number else 0
        return self._decoder.decode(os.pread(self._file, int(self._ends[number]) - start, start))

    def text(self, number: int) -> str:
        return text_of(self[number])

    def blocks(self, wanted: NDArray[np.bool_]) -> Iterator[list[tuple[int, Document]]]:
        """The wanted documents with their numbers, block by block. `wanted` is [document]."""
        numbers = (number for number in range(len(self)) if wanted[number])
        return blocks((number, self[number]) for number in numbers)


def write_spool(folder: Path, documents: Iterable[Document], signed: bool) -> None:
    """Write the documents to a new folder, with MinHash signatures if `signed`."""
    folder.mkdir()
    end = 0
    encoder = msgspec.msgpack.Encoder()
    with ExitStack() as stack:
        files = [stack.enter_context((folder / name).open("wb")) for name in FILES]
        for block in blocks(enumerate(documents)):
            texts = [text_of(document) for _, document in block]
            records = [encoder.encode(document) for _, document in block]
            ends = end + np.cumsum([len(record) for record in records], dtype="<i8")
            end = int(ends[-1])
            signatures = sign(texts).astype("<u2").tobytes() if signed else b""
            parts = (b"".join(records), ends.tobytes(), b"".join(map(key, texts)), signatures)
            for file, data in zip(files, parts, strict=True):
                file.write(data)


def read_numbers(path: Path, kind: str) -> NDArray[Any]:
    return np.memmap(path, kind, mode="r").view(np.ndarray) if path.stat().st_size else np.empty(0, kind)


def blocks(documents: Iterable[tuple[int, Document]]) -> Iterator[list[tuple[int, Document]]]:
    """Group documents into blocks large enough to process fast and small enough for memory."""
    block: list[tuple[int, Document]] = []
    length = 0
    for number, document in documents:
        block.append((number, document))
        length += sum(len(part.text) for part in document)
        if len(block) == BLOCK_DOCUMENTS or length >= BLOCK_CHARACTERS:
            yield block
            block, length = [], 0
    if block:
        yield block
