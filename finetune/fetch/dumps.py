"""Dumps: large files of lines, plain or compressed, as blocks of whole lines on disk.

Only a chunk and one line of a file are in memory. Reddit's dumps need a decompression window of 2 GB, which most readers
refuse.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

from app.errors import SettingError
from finetune.data.input_files import files_under, matching

LINE_SUFFIXES = (".jsonl", ".ndjson", ".json", ".zst", ".gz")
TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")
BLOCK = 2**26
"""Uncompressed bytes of a block at least."""
CHUNK = 2**17
"""Bytes that are read from disk at a time."""
LARGEST_WINDOW = 2**31
"""Bytes of zstandard's window at most."""
DECOMPRESSORS: dict[str, Callable[[], Any]] = {
    ".zst": lambda: zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW).decompressobj(),
    ".gz": lambda: zlib.decompressobj(wbits=31),
}


def find_files(sources: Iterable[str], suffixes: Collection[str]) -> list[Path]:
    """The files with these suffixes that names, folders and patterns stand for, each once.

    Raises SettingError naming a source without any.
    """
    found: dict[Path, Path] = {}
    for source in sources:
        paths = [Path(source)] if Path(source).exists() else matching(source)
        files = [file for path in paths for file in files_under(path) if is_readable(file, suffixes)]
        if not files:
            raise SettingError(f"--source {source} matches no file that is {', '.join(suffixes)}.")
        for file in files:
            found.setdefault(file.resolve(), file)
    return list(found.values())


def is_readable(file: Path, suffixes: Collection[str]) -> bool:
    """Whether it has one of the suffixes. The manifest of a corpus has one too, and is no source."""
    return file.suffix.lower() in suffixes and not file.name.endswith(".manifest.json")


class Dump:
    """A file as blocks of lines. After the last block, `incomplete` says why the file was not read to its end, or is None."""

    def __init__(self, path: Path, progress: Callable[[int], object], block: int | None = None) -> None:
        """`progress` is called with the number of bytes read from disk; `block` is BLOCK unless given."""
        self.path = path
        self.progress = progress
        self.block = block or BLOCK
        self.incomplete: str | None = None

    def blocks(self, folder: Path, skip: int = 0) -> Iterator[tuple[Path, int]]:
        """Each block as a file in `folder`, and its number of lines. The next block overwrites the file.

        The first `skip` blocks are passed over. The same file always has the same blocks.
        """
        path = folder / "block.jsonl"
        chunks = self._line_chunks()
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

    def _line_chunks(self) -> Iterator[bytes]:
        """The uncompressed file in chunks of whole lines.

        A last line without a line end gets one. In an incomplete file that line is cut off, so it is left out.
        """
        rest = b""
        for chunk in self._chunks():
            if end := chunk.rfind(b"\n") + 1:
                yield rest + chunk[:end]
                rest = chunk[end:]
            else:
                rest += chunk
        if rest and not self.incomplete:
            yield rest + b"\n"

    def _chunks(self) -> Iterator[bytes]:
        """The uncompressed file, as far as it can be read. `incomplete` is set where it ends early."""
        decompressors = DECOMPRESSORS.get(self.path.suffix.lower())
        with self.path.open("rb") as file:
            if decompressors is None:
                while chunk := file.read(CHUNK):
                    self.progress(len(chunk))
                    yield chunk
                return
            try:
                yield from self._decompress(file, decompressors)
            except (zstandard.ZstdError, zlib.error) as error:
                self.incomplete = f"it is damaged ({error})"

    def _decompress(self, file: BinaryIO, decompressors: Callable[[], Any]) -> Iterator[bytes]:
        """A compressed file may be several, one after another: each gets a decompressor of its own."""
        decompressor = None
        while packed := file.read(CHUNK):
            self.progress(len(packed))
            while packed:
                decompressor = decompressor or decompressors()
                if chunk := decompressor.decompress(packed):
                    yield chunk
                packed, decompressor = (decompressor.unused_data, None) if decompressor.eof else (b"", decompressor)
        if decompressor is not None:
            self.incomplete = "it is cut off"
