"""Spool: the documents that were read, kept on disk until they are tokenized. A stretch of a long document counts as one here.

Each block's columns, the documents' keys and their MinHash signatures are appended to a file each. They are mapped into memory
for reading, all but the text.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import pairwise, starmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.data.document_block import DocumentBlock, blocks
from finetune.data.documents import Document
from finetune.data.long_documents import StretchTable
from finetune.data.near_duplicates import BANDS, ROWS, Signatures, key, sign, word_hashes
from finetune.data.thread_map import thread_map
from finetune.data.word_table import WordTable
from finetune.progress_bar import progress_bar

COLUMNS = {
    "text": "u1", "part_ends": "<i8", "roles": "u1", "ends": "?", "document_ends": "<i8", "block_ends": "<i8", "keys": "<u8",
}  # fmt: skip
"""Files and the kinds of their numbers. Parts end at bytes of the text, documents at parts, blocks at documents."""


class Spool:
    """Reads what `write_spool` wrote: documents, and their keys [document, 2]."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        columns = {name: read_numbers(folder / name, kind) for name, kind in COLUMNS.items() if name != "text"}
        self._part_ends, self._document_ends = columns["part_ends"], columns["document_ends"]
        self._block_ends, self._roles, self._ends = columns["block_ends"], columns["roles"], columns["ends"]
        self.keys: NDArray[np.uint64] = columns["keys"].reshape(-1, 2)
        self.table = StretchTable(~self._ends[self._document_ends - 1])
        self._text = os.open(folder / "text", os.O_RDONLY)

    def close(self) -> None:
        os.close(self._text)

    def __len__(self) -> int:
        return len(self._document_ends)

    def __getitem__(self, numbers: slice) -> DocumentBlock:
        first, last, _ = numbers.indices(len(self))
        part_ends = self._document_ends[first:last]
        begin = int(self._document_ends[first - 1]) if first else 0
        parts = slice(begin, int(part_ends[-1]))
        start = int(self._part_ends[begin - 1]) if begin else 0
        ends = self._part_ends[parts]
        return DocumentBlock(
            os.pread(self._text, int(ends[-1]) - start, start),
            np.diff(ends, prepend=start),
            self._roles[parts],
            self._ends[parts],
            np.diff(part_ends, prepend=begin),
        )

    def text(self, number: int) -> str:
        first, last = (int(self._document_ends[at]) if at >= 0 else 0 for at in (number - 1, number))
        if last - first > 1:
            return self[number : number + 1].texts()[0].decode()
        start = int(self._part_ends[first - 1]) if first else 0
        return os.pread(self._text, int(self._part_ends[first]) - start, start).decode()

    def blocks(self) -> Iterator[slice]:
        """The numbers of the documents of each block."""
        return starmap(slice, pairwise([0, *self._block_ends.tolist()]))

    def signatures(self) -> Signatures:
        """The MinHash signatures of all documents, [document, function]: computed, written and mapped into memory."""
        table = WordTable(word_hashes)

        def signed(numbers: slice) -> Signatures:
            texts = self[numbers].texts()
            return sign(table.look_up(b"".join(texts), np.array([len(text) for text in texts])))

        path = self._folder / "signatures"
        with path.open("wb") as file, progress_bar("compare", len(self), unit=" documents") as progress:
            for signatures in thread_map(signed, self.blocks()):
                file.write(signatures.astype("<u2").tobytes())
                progress.update(len(signatures))
        return read_numbers(path, "<u2").reshape(-1, BANDS * ROWS)


def write_spool(folder: Path, documents: Iterable[Document]) -> None:
    """Write the documents to a new folder."""
    folder.mkdir()
    ends = dict.fromkeys(("part_ends", "document_ends", "block_ends"), 0)
    with ExitStack() as stack:
        files = {name: stack.enter_context((folder / name).open("wb")) for name in COLUMNS}
        for block in blocks(documents):
            texts = block.texts()
            lengths = {"part_ends": block.lengths, "document_ends": block.parts, "block_ends": np.array([len(texts)])}
            for name, of_items in lengths.items():
                items = ends[name] + np.cumsum(of_items, dtype="<i8")
                files[name].write(items.tobytes())
                ends[name] = int(items[-1])
            files["text"].write(block.text)
            files["roles"].write(block.roles.tobytes())
            files["ends"].write(block.ends.tobytes())
            files["keys"].write(b"".join(map(key, texts)))


def read_numbers(path: Path, kind: str) -> NDArray[Any]:
    return np.memmap(path, kind, mode="r").view(np.ndarray) if path.stat().st_size else np.empty(0, kind)
