"""Compressed files, told by their first bytes: gzip, bzip2, xz, zstandard, and the files of a .zip."""

from __future__ import annotations

import bz2
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import zstandard

from app.errors import DataError

CHUNK = 2**17
"""Bytes that are read from disk at a time."""
MOUTHFUL = 2**12
"""Bytes that are unpacked at a time, since few may hold gigabytes. Of zstandard's zeros, so many are 128 MB."""
LARGEST_WINDOW = 2**31
"""Bytes of zstandard's window at most. Reddit's dumps need as much, which most readers refuse."""
SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".zip")
# What a compressed file begins with, and a new decompressor. A zstandard file may begin with a frame to skip.
FORMATS: tuple[tuple[re.Pattern[bytes], Callable[[], Any]], ...] = (
    (re.compile(rb"\x1f\x8b"), lambda: zlib.decompressobj(wbits=31)),
    (re.compile(rb"BZh[1-9]"), bz2.BZ2Decompressor),
    (re.compile(rb"\xfd7zXZ\0"), lzma.LZMADecompressor),
    (
        re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
        lambda: zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW).decompressobj(),
    ),
)
ZIP = re.compile(rb"PK(?:\x03\x04|\x05\x06|\x07\x08)")
DAMAGE = (zlib.error, OSError, lzma.LZMAError, zstandard.ZstdError, zipfile.BadZipFile, EOFError)


class DamagedFile(DataError):
    """A compressed file that cannot be read to its end. `reason` is a sentence about it, such as "it is cut off"."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} cannot be read to its end: {reason}. Download or copy it again.")
        self.reason = reason


def read_chunks(path: Path, member: str, progress: Callable[[int], object]) -> Iterator[bytes]:
    """A file's content in chunks, decompressed if it is compressed. `member` names a file of a .zip; "" is none.

    `progress` is called with the number of bytes just read from disk. Raises DamagedFile, and DataError for a .zip that needs
    a password.
    """
    if member:
        with zip_errors(path), opened_zip(path, path.stat().st_mtime_ns).open(member) as inside:
            yield from decompressed(path, inside, lambda _: None)
        progress(opened_zip(path, path.stat().st_mtime_ns).getinfo(member).compress_size)
    else:
        with path.open("rb") as file:
            yield from decompressed(path, file, progress)


def is_compressed(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(8)
    return any(magic.match(head) for magic, _ in FORMATS)


def decompressed(path: Path, file: IO[bytes], progress: Callable[[int], object]) -> Iterator[bytes]:
    chunk = file.read(CHUNK)
    new_decompressor = next((new for magic, new in FORMATS if magic.match(chunk)), None)
    if new_decompressor is not None:
        yield from joined(decompress(path, file, chunk, new_decompressor, progress))
        return
    while chunk:
        progress(len(chunk))
        yield chunk
        chunk = file.read(CHUNK)


def decompress(
    path: Path, file: IO[bytes], packed: bytes, new_decompressor: Callable[[], Any], progress: Callable[[int], object]
) -> Iterator[bytes]:
    """A compressed file may be several, one after another: each gets a decompressor of its own."""
    decompressor = None
    while packed:
        progress(len(packed))
        at = 0
        while at < len(packed):
            decompressor = decompressor or new_decompressor()
            with damage_explained(path):
                chunk = decompressor.decompress(packed[at : at + MOUTHFUL])
            at = min(at + MOUTHFUL, len(packed))
            if chunk:
                yield chunk
            if decompressor.eof:
                # Archives on tapes, and xz, are filled up with zeros.
                at = len(packed) - len(packed[at - len(decompressor.unused_data) :].lstrip(b"\0"))
                decompressor = None
        packed = file.read(CHUNK)
        if decompressor is None:
            packed = packed.lstrip(b"\0")
    if decompressor is not None:
        raise DamagedFile(path, "it is cut off")


def joined(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in chunks that are worth a step. What comes before damage is not lost."""
    parts: list[bytes] = []
    size = 0
    try:
        for chunk in chunks:
            parts.append(chunk)
            size += len(chunk)
            if size >= CHUNK:
                yield b"".join(parts)
                parts, size = [], 0
    except DamagedFile:
        if parts:
            yield b"".join(parts)
        raise
    if parts:
        yield b"".join(parts)


@contextmanager
def damage_explained(path: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        raise DamagedFile(path, f"it is damaged ({error})") from None


@lru_cache(maxsize=1)
def opened_zip(path: Path, changed: int) -> zipfile.ZipFile:
    """A .zip, kept open: its table of contents is long where it has many files. `changed` is when the file was."""
    return zipfile.ZipFile(path)


@contextmanager
def zip_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as error:
        raise DamagedFile(path, f"it is damaged ({error})") from None
    except (RuntimeError, NotImplementedError) as error:  # A password, or a method that Python lacks.
        raise DataError(f"{path} cannot be unpacked ({error}): unpack it yourself.") from None


def zip_members(path: Path) -> list[str] | None:
    """The files of a .zip, sorted, without hidden ones and those of macOS; None if it is no .zip. Raises DamagedFile."""
    with path.open("rb") as file:
        if not ZIP.match(file.read(4)):
            return None
    with zip_errors(path):
        names = opened_zip(path, path.stat().st_mtime_ns).namelist()
    return sorted({name for name in names if not name.endswith("/") and not is_hidden(name)})


def is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
