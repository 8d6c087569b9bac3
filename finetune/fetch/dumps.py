"""Large files of lines, plain or compressed, as blocks of whole lines on disk: never more than a megabyte of one in memory.

Reddit's dumps are compressed with a window of 2 GB, which most readers refuse.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import zstandard

from app.errors import SettingError
from finetune.data.input_files import files_under, matching

SUFFIXES = (".jsonl", ".ndjson", ".json", ".zst", ".gz")
BLOCK = 2**26
PIECE = 2**17
LARGEST_WINDOW = 2**31
UNPACKERS: dict[str, Callable[[], Any]] = {
    ".zst": lambda: zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW).decompressobj(),
    ".gz": lambda: zlib.decompressobj(wbits=31),
}


def find_files(sources: Iterable[str], suffixes: Collection[str]) -> list[Path]:
    """The files that are meant, each once, without manifests. Raises SettingError naming a source that has none."""
    found: dict[Path, Path] = {}
    for source in sources:
        paths = [Path(source)] if Path(source).exists() else matching(source)
        files = [file for path in paths for file in files_under(path) if is_one(file, suffixes)]
        if not files:
            raise SettingError(f"--source {source} matches no file that is {', '.join(suffixes)}.")
        for file in files:
            found.setdefault(file.resolve(), file)
    return list(found.values())


def is_one(file: Path, suffixes: Collection[str]) -> bool:
    return file.suffix.lower() in suffixes and not file.name.endswith(".manifest.json")


class Dump:
    """A file as blocks of lines. `incomplete` says why its end is missing, once the blocks have been read."""

    def __init__(self, path: Path, progress: Callable[[int], object], block: int | None = None) -> None:
        self.path = path
        self.block = block or BLOCK
        """Bytes of a block at least, unpacked."""
        self.progress = progress
        """Told of each byte read of the file as it lies on disk."""
        self.incomplete: str | None = None

    def blocks(self, folder: Path, skip: int = 0) -> Iterator[tuple[Path, int]]:
        """Each block as a file, to be read before the next is asked for, and how many lines it has.

        The first `skip` are passed over, unwritten. The same file has the same blocks each time.
        """
        path = folder / "block.jsonl"
        pieces, rest, number, done = self.pieces(), b"", 0, False
        while not done:
            size = lines = 0
            with path.open("wb") as file:
                while size < self.block and not done:
                    piece = next(pieces, b"")
                    done = not piece
                    if done:  # What has no line end is a line all the same, unless it was cut.
                        whole, rest = rest + b"\n" if rest and not self.incomplete else b"", b""
                    elif at := piece.rfind(b"\n") + 1:
                        whole, rest = rest + piece[:at], piece[at:]
                    else:
                        whole, rest = b"", rest + piece
                    size, lines = size + len(whole), lines + whole.count(b"\n")
                    if number >= skip:
                        file.write(whole)
            if lines and number >= skip:
                yield path, lines
            number += 1
        path.unlink()

    def pieces(self) -> Iterator[bytes]:
        """What is in the file, unpacked. If it ends too early, all that could be read, and `incomplete` is set."""
        new = UNPACKERS.get(self.path.suffix.lower())
        unpacker = None
        with self.path.open("rb") as file:
            try:
                while packed := file.read(PIECE):
                    self.progress(len(packed))
                    while packed:
                        if new is None:
                            yield packed
                            break
                        unpacker = unpacker or new()
                        if piece := unpacker.decompress(packed):
                            yield piece
                        # A file may be several, one after another.
                        packed, unpacker = (unpacker.unused_data, None) if unpacker.eof else (b"", unpacker)
            except (zstandard.ZstdError, zlib.error) as error:
                self.incomplete = f"it is damaged ({error})"
                return
            if unpacker is not None:
                self.incomplete = "it is cut off"
