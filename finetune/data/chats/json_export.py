"""Exports in JSON: mapped into memory, so that a file of a gigabyte takes little of it, and decoded message by message."""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import msgspec

from app.errors import DataError
from finetune.data.file_kinds import WRONG_JSON
from finetune.data.input_files import InputFile

Record = TypeVar("Record")
LARGEST_PACKED = 2**29
"""Bytes of a compressed export, which cannot be mapped."""
# How an archive of X begins each file, so that a browser can read it.
ASSIGNMENT = re.compile(rb"\s*window\.YTD\.[\w.]+\s*=\s*")


def read_json(file: InputFile, kind: type[Record], progress: Callable[[int], object]) -> Record:
    """The whole file as a `kind`, whose long lists are of msgspec.Raw. Raises DataError."""
    data = content(file, progress)
    start = ASSIGNMENT.match(data)
    begin = start.end() if start else 3 if data[:3] == b"\xef\xbb\xbf" else 0
    try:
        return msgspec.json.decode(memoryview(data)[begin:], type=kind)
    except WRONG_JSON as error:
        raise DataError(f"{file} is cut off or damaged ({error}): export or copy it again.") from None


def each(file: InputFile, items: Iterable[msgspec.Raw], kind: type[Record]) -> Iterator[Record]:
    """The items of a list, one by one. Raises DataError."""
    decoder = msgspec.json.Decoder(kind)
    for number, item in enumerate(items, start=1):
        try:
            yield decoder.decode(item)
        except WRONG_JSON as error:
            raise DataError(f"{file} cannot be read at its message {number} ({error}): export it again.") from None


def content(file: InputFile, progress: Callable[[int], object]) -> bytes | mmap.mmap:
    if file.is_packed or not file.path.stat().st_size:
        return unpacked(file, progress)
    with file.path.open("rb") as opened:
        progress(file.path.stat().st_size)
        return mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)


def unpacked(file: InputFile, progress: Callable[[int], object]) -> bytes:
    """The whole content. Raises DataError where that is too much for memory."""
    content = bytearray()
    for chunk in file.chunks(progress):
        content += chunk
        if len(content) > LARGEST_PACKED:
            raise DataError(f"{file} has more than {LARGEST_PACKED:,} bytes when it is unpacked: unpack it yourself.")
    return bytes(content)
