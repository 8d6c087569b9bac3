"""Text encodings: bytes to text, or a sentence with the line and the encoding that it looks like.

Nothing is dropped or replaced. Text that decodes into control characters was written in another encoding, so it is refused.
"""

from __future__ import annotations

import codecs
import io
import os
import re
from collections.abc import Iterable, Iterator
from itertools import chain, pairwise
from typing import NamedTuple, NoReturn

from app.errors import DataError, SettingError
from finetune.data.encoding_detector import ISO_2022, likely_encoding

# Bytes 0x80 to 0x9F are letters and punctuation for Windows, DOS and the Mac, and control characters for ISO.
CONTROLS = re.compile("[\0\x80-\x9f\ud800-\udfff]")
UNICODE_CONTROLS = re.compile("[\0\x80-\x84\x86-\x9f\ud800-\udfff]")
"""U+0085 is one of Unicode's line ends."""
JSON_CONTROLS = re.compile("[\0\ud800-\udfff]")
"""Dumps have control characters as their writers left them, and JSON's encoding is no guess."""
UTF_8_CONTROLS = re.compile(rb"\xc2[\x80-\x84\x86-\x9f]")
NOT_TEXT = ("idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined")
"""Python calls these encodings too."""
ASCII = bytes(range(128))

BLOCK = 2**20
"""Bytes that are decoded at a time at least."""
LONGEST_LINE = 2**26
"""Characters of a line, or bytes: a file of a few kilobytes may unpack to one of gigabytes."""


class Position(NamedTuple):
    """Where something is in a file: the line from 1, and the byte from 0."""

    line: int
    byte: int

    def __str__(self) -> str:
        return f"line {self.line} (byte {self.byte:,})"


def check_encoding(encoding: str) -> None:
    """Raises SettingError unless Python knows this as an encoding of text."""
    try:
        "a".encode(encoding)
        is_text = codecs.lookup(encoding).name.replace("-", "_") not in NOT_TEXT
    except (LookupError, ValueError):
        is_text = False
    if not is_text:
        raise SettingError(
            f"--encoding is {encoding!r}, and should be a text encoding that Python knows, such as cp1252."
        )


def decode(name: str, chunks: Iterable[bytes], encoding: str, is_json: bool = False) -> Iterator[str]:
    """The text of a file, block by block, with every line end as a newline, without a byte-order mark.

    Raises DataError naming the line and byte that do not fit, and the encoding that they look like.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    checker = EncodingChecker(name, encoding, is_json)
    started = False
    for block, following in pairwise(chain(blocks(chunks), [None])):
        assert block is not None
        data = decoder.getstate()[0] + block
        try:
            text = decoder.decode(block, final=following is None)
        except UnicodeError as error:
            checker.refuse_bytes(data, error.start if isinstance(error, UnicodeDecodeError) else 0)
        checker.check(data, text, len(decoder.getstate()[0]))
        if text and not started:
            text, started = text.removeprefix("\ufeff"), True
        if text := newlines.decode(text, final=following is None):
            yield text


def lines_of(name: str, blocks: Iterable[str]) -> Iterator[str]:
    """The lines of a text that comes in blocks, each with its newline. Raises DataError for one that is too long for memory."""
    parts: list[str] = []
    length = 0
    for block in blocks:
        first, *others = block.split("\n")
        parts.append(first)
        length += len(first)
        if length > LONGEST_LINE:
            raise DataError(long_line(name))
        if others:
            yield "".join([*parts, "\n"])
            yield from (f"{line}\n" for line in others[:-1])
            parts = others[-1:]
            length = len(parts[0])
    if length:
        yield "".join(parts)


def long_line(name: str) -> str:
    """What is wrong with a file of one endless line, and what to do about it."""
    return f"{name} has a line of more than {LONGEST_LINE:,} characters: see whether it is what its name says, or split it."


def check_utf_8(name: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same chunks of whole lines, without a byte-order mark. Raises DataError where they are not UTF-8.

    It is several times faster than to decode them, for files of JSON lines that others decode.
    """
    checker = EncodingChecker(name, "utf-8", is_json=True)
    for number, chunk in enumerate(chunks):
        if not number and chunk.count(0) > len(chunk) // 8:  # UTF-16 without a byte-order mark.
            checker.refuse_bytes(chunk, 0)
        try:
            chunk.decode()
        except UnicodeDecodeError as error:
            checker.refuse_bytes(chunk, error.start)
        checker.advance(chunk)
        yield chunk if number else chunk.removeprefix(codecs.BOM_UTF8)


def blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in blocks: what is too short tells little about its encoding."""
    block: list[bytes] = []
    size = 0
    for chunk in chunks:
        block.append(chunk)
        size += len(chunk)
        if size >= BLOCK:
            yield b"".join(block)
            block, size = [], 0
    if block:
        yield b"".join(block)


class EncodingChecker:
    """Checks the text of a file as it is decoded, and knows at which line and byte it is."""

    def __init__(self, name: str, encoding: str, is_json: bool) -> None:
        self.name, self.encoding = name, encoding
        codec = codecs.lookup(encoding).name
        self._is_utf_8 = codec in ("utf-8", "utf-8-sig")
        self._is_unicode = codec.startswith("utf")
        self._is_wide = codec.startswith(("utf-16", "utf-32"))
        self._is_seven_bit = codec.startswith(("iso2022", "hz", "utf-7"))
        self._could_be_utf_8 = not self._is_utf_8
        self._is_json = is_json
        self._controls = CONTROLS if not self._is_unicode else JSON_CONTROLS if is_json else UNICODE_CONTROLS
        self._start = Position(1, 0)
        self._after_return = False

    def check(self, data: bytes, text: str, waiting: int) -> None:
        """Raises DataError if `text`, decoded from `data`, was written in another encoding.

        The last `waiting` bytes of `data` are part of a character that continues in the next.
        """
        if self._is_wide and b"\0" not in data and len(data.translate(None, ASCII)) < len(data) / 4:
            self.refuse_bytes(data, 0)  # Two letters would be read as one Chinese character.
        if self._could_be_utf_8:
            self._refuse_utf_8(data, text)
        if not self._is_utf_8 or self._is_suspicious(data):
            self._refuse_controls(data, text)
        self.advance(data[: len(data) - waiting])

    def advance(self, done: bytes) -> None:
        """Go on behind these bytes."""
        self._start = self._position(done, len(done))
        self._after_return = done.endswith(b"\r")

    def refuse_bytes(self, data: bytes, start: int) -> NoReturn:
        """Raises DataError for the byte of `data` that cannot be decoded."""
        at = self._position(data, start)
        likely = likely_encoding(data, start)
        if likely == "utf-8" and self._is_utf_8:
            raise DataError(f"{self.name} is utf-8, and damaged on {at}: repair that line, or take it out.")
        raise DataError(f"{self.name} is not {self.encoding} on {at}: {advice(likely)}.")

    def _refuse_utf_8(self, data: bytes, text: str) -> None:
        """Raises DataError for UTF-8 that would be read as something else. The first bytes beyond ASCII decide."""
        if data.isascii() and (text.isascii() or self._is_seven_bit):
            return
        try:
            meant = codecs.getincrementaldecoder("utf-8")().decode(data)
        except UnicodeDecodeError:
            self._could_be_utf_8 = False
            return
        same = os.path.commonprefix([meant, text])  # noqa: RUF071  # Of characters, as meant here.
        if "\0" not in meant and len(same) < len(meant) and not ISO_2022.search(data):
            at = self._position(data, len(same.encode()))
            raise DataError(f"{self.name} is utf-8, and not {self.encoding} on {at}: give --encoding utf-8.")

    def _is_suspicious(self, data: bytes) -> bool:
        """Whether UTF-8 may have control characters. Searching the bytes is faster than searching the text."""
        if b"\0" in data or b"\x1b" in data:
            return True
        return not self._is_json and b"\xc2" in data and UTF_8_CONTROLS.search(data) is not None

    def _refuse_controls(self, data: bytes, text: str) -> None:
        """Raises DataError for the first control character that no text has."""
        if found := self._controls.search(text):
            start, code = len(text[: found.start()].encode(self.encoding, "surrogatepass")), ord(found[0])
        elif self._is_utf_8 and (escape := ISO_2022.search(data)):
            start, code = escape.start(), 0x1B
        else:
            return
        at = self._position(data, start)
        if self._is_unicode and code >= 0x80:
            remedy = (
                "it was converted from the wrong encoding before, so convert it again from the original, usually cp1252"
            )
        else:
            likely = likely_encoding(data, start)
            remedy = "take it out, or name another encoding with --encoding" if likely == "utf-8" else advice(likely)
        raise DataError(
            f"{self.name} has the control character U+{code:04X} on {at} when read as {self.encoding}: {remedy}."
        )

    def _position(self, data: bytes, offset: int) -> Position:
        before = data[:offset]
        if self._is_unicode and not self._is_utf_8:
            before = before.decode(self.encoding, "ignore").encode()
        lines = before.count(b"\n")
        if b"\r" in before:
            lines += before.count(b"\r") - before.count(b"\r\n")
        lines -= self._after_return and before.startswith(b"\n")
        return Position(self._start.line + lines, self._start.byte + offset)


def advice(likely: str | None) -> str:
    """What to do about text in another encoding, for a message."""
    if likely is None:
        return "it looks like no known encoding, so convert it to utf-8, or name its encoding with --encoding"
    return f"convert it, or give --encoding {likely} if that is what all the inputs are"
