"""Dumps: large files of lines, plain or compressed, as blocks of whole lines on disk.

Only a chunk and one line of a file are in memory. The lines are UTF-8, whatever the encoding of the file.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import BinaryIO

from app.errors import DataError
from finetune.data.compression import DamagedFile
from finetune.data.input_files import InputFile
from finetune.data.text_encoding import LONGEST_LINE, check_utf_8, decode, long_line

BLOCK = 2**26
"""Uncompressed bytes of a block at least."""


class Dump:
    """A file as blocks of lines. After the last block, `incomplete` says why the file was not read to its end, or is None."""

    def __init__(
        self, file: InputFile, progress: Callable[[int], object], block: int | None = None, encoding: str = "utf-8"
    ) -> None:
        """`progress` is called with the number of bytes read from disk; `block` is BLOCK unless given."""
        self.file = file
        self.progress = progress
        self.block = block or BLOCK
        self.encoding = encoding
        self.incomplete: str | None = None

    def blocks(self, folder: Path, skip: int = 0) -> Iterator[tuple[Path, int]]:
        """Each block as a file in `folder`, and its number of lines. The next block overwrites the file.

        The first `skip` blocks are passed over. The same file always has the same blocks. Raises DataError for lines that are
        not in the encoding.
        """
        path = folder / "block.jsonl"
        chunks = self._utf_8_lines()
        for number in count():
            with path.open("wb") as file:
                lines = self._write_block(chunks, file if number >= skip else None)
            if not lines:
                break
            if number >= skip:
                yield path, lines
        path.unlink()

    def _write_block(self, chunks: Iterator[bytes], file: BinaryIO | None) -> int:
        """Take chunks for one block, and write them if there is a file. Returns the number of lines."""
        size = lines = 0
        for chunk in chunks:
            size, lines = size + len(chunk), lines + chunk.count(b"\n")
            if file:
                file.write(chunk)
            if size >= self.block:
                break
        return lines

    def _utf_8_lines(self) -> Iterator[bytes]:
        if codecs.lookup(self.encoding).name in ("utf-8", "utf-8-sig"):
            return check_utf_8(str(self.file), self._line_chunks(self._chunks()))
        texts = decode(str(self.file), self._chunks(), self.encoding, is_json=True)
        return self._line_chunks(text.encode() for text in texts)

    def _line_chunks(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The uncompressed file in chunks of whole lines.

        A last line without a line end gets one. In an incomplete file that line is cut off, so it is left out.
        """
        rest = bytearray()
        for chunk in chunks:
            if end := chunk.rfind(b"\n") + 1:
                yield bytes(rest) + chunk[:end]
                rest = bytearray(chunk[end:])
            elif len(rest) > LONGEST_LINE:
                raise DataError(long_line(str(self.file)))
            else:
                rest += chunk
        if rest and not self.incomplete:
            yield bytes(rest) + b"\n"

    def _chunks(self) -> Iterator[bytes]:
        """The uncompressed file, as far as it can be read. `incomplete` is set where it ends early."""
        try:
            yield from self.file.chunks(self.progress)
        except DamagedFile as error:
            self.incomplete = error.reason
