"""Files → documents, never more of a file in memory than a block or one of its lines.

    .txt         running text; gpt-2-simple's <|startoftext|> and <|endoftext|> are borders between documents and go
    .csv, .tsv   a document a row, in one column; the marks are borders here too
    .jsonl       a document a line: {"body": text, "meta"?: code} or {"turns": [text, …], "meta"?: code}
    .npz         what gpt-2-simple's encode_dataset wrote: read back into text, then as .txt

Whatever does not fit is a DataError that names the file and the line.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine.bundle import Template
from app.engine.tokenizer import END_OF_TEXT, Tokenizer
from app.errors import DataError, SettingError
from finetune.data.documents import SLACK, Document, cut, from_text, from_turns

SUFFIXES = (".txt", ".csv", ".tsv", ".jsonl", ".npz")
BLOCK = 2**20
# A column of 16 million characters is an unclosed quote.
csv.field_size_limit(2**24)
# A file of one column has a header where its first line is one of these.
HEADERS = {
    "text",
    "body",
    "comment",
    "content",
    "document",
    "joke",
    "line",
    "message",
    "post",
    "sentence",
    "title",
    "tweet",
}

Split = Literal["marks", "lines", "blank_lines"]
MARK = r"<\|(?:start|end)oftext\|>"
BORDERS: dict[Split, re.Pattern[str]] = {
    # An end and the next start are one border; a start and the next end have an empty document between.
    "marks": re.compile(r"<\|endoftext\|>\s*(?:<\|startoftext\|>)?|<\|startoftext\|>"),
    "lines": re.compile(rf"(?:(?:\n|{MARK})\s*)+"),
    "blank_lines": re.compile(rf"(?:(?:\n[^\S\n]*\n|{MARK})\s*)+"),
}


class Line(msgspec.Struct, forbid_unknown_fields=True):
    """A line of .jsonl."""

    body: str | None = None
    turns: Annotated[list[str], msgspec.Meta(min_length=1)] | None = None
    meta: str | dict[str, str | int | float | bool | None] | None = None


@dataclass(frozen=True)
class Source:
    """A file and how it is read. `progress` is told of each byte read; `vocabulary` is what .npz is of."""

    path: Path
    column: str | None
    split: Split
    template: Template
    encoding: str
    vocabulary: Tokenizer | None
    progress: Callable[[int], object]

    def documents(self) -> Iterator[Document]:
        match self.path.suffix.lower():
            case ".txt":
                texts = split_text(decode(self), BORDERS[self.split])
            case ".npz":
                texts = (text for blocks in read_arrays(self) for text in split_text(blocks, BORDERS[self.split]))
            case ".jsonl":
                yield from read_lines(self)
                return
            case _:
                texts = (text for cell in read_column(self) for text in split_text([cell], BORDERS["marks"]))
        for text in texts:
            yield from from_text(text)


def find_files(inputs: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """Files to read, in order and each once, and those in folders that are of no known kind."""
    known: dict[Path, Path] = {}
    strangers: list[Path] = []
    for given in inputs:
        found = [Path(given)] if Path(given).exists() else matching(given)
        if not found:
            raise SettingError(f"{given} matches no file: name a file, a folder or a pattern such as 'texts/*.txt'.")
        if found == [Path(given)] and found[0].is_file() and not is_known(found[0]):
            raise SettingError(f"{given} is none of {', '.join(SUFFIXES)}: convert it, or rename it to what it is.")
        for path in chain.from_iterable(map(files_under, found)):
            if is_known(path):
                known.setdefault(path.resolve(), path)
            else:
                strangers.append(path)
    if not known:
        raise SettingError(f"{', '.join(inputs)} holds no file that is {', '.join(SUFFIXES)}.")
    return list(known.values()), strangers


def matching(pattern: str) -> list[Path]:
    """What a pattern that the shell left alone stands for, without the hidden. Path.glob takes none that begins at the root."""
    path = Path(pattern)
    found = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    return [match for match in found if not any(part.startswith(".") for part in {*match.parts} - {*path.parts})]


def files_under(path: Path) -> list[Path]:
    """A file itself; a folder's files, without the hidden."""
    if not path.is_dir():
        return [path]
    below = (file.relative_to(path) for file in path.rglob("*") if file.is_file())
    return sorted(path / file for file in below if not any(part.startswith(".") for part in file.parts))


def is_known(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def decode(source: Source) -> Iterator[str]:
    """A file's text block by block, line ends as newlines, without a byte-order mark."""
    decoder = codecs.getincrementaldecoder(source.encoding)()
    newlines = io.IncrementalNewlineDecoder(decoder, translate=True)
    done, lines, block = 0, 1, b" "
    with source.path.open("rb") as file:
        while block:
            block = file.read(BLOCK)
            waiting = len(decoder.getstate()[0])
            try:
                text = newlines.decode(block, final=not block)
            except UnicodeDecodeError as error:
                before = error.object[: error.start]
                line = lines + before.decode(source.encoding, "ignore").count("\n")
                raise DataError(wrong_encoding(source, line, done - waiting + error.start, error.object)) from None
            yield text.removeprefix("\ufeff") if not done else text
            done += len(block)
            lines += text.count("\n")
            source.progress(len(block))


def wrong_encoding(source: Source, line: int, offset: int, data: bytes) -> str:
    marked = not offset and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    other = "utf-16" if marked else "utf-8" if codecs.lookup(source.encoding).name != "utf-8" else "latin-1"
    return (
        f"{source.path} is not {source.encoding} on line {line} (byte {offset:,}): "
        f"convert it, or give --encoding {other} if that is what all the inputs are."
    )


def split_text(blocks: Iterable[str], border: re.Pattern[str]) -> Iterator[str]:
    """The texts between borders. What is blank before the first and after the last is none."""
    rest, bordered = "", False
    for block in chain(blocks, [None]):
        rest += block or ""
        start, end = 0, len(rest)
        for match in border.finditer(rest):
            if match.end() > len(rest) - SLACK and block is not None:  # It may go on in the next block.
                end = match.start()
                break
            if bordered or not_blank(rest[start : match.start()]):
                yield rest[start : match.start()]
            start, bordered = match.end(), True
        *pieces, last = cut(rest[start:end])
        yield from pieces
        rest = last + rest[end:]
    if not bordered or not_blank(rest):
        yield rest


def not_blank(text: str) -> bool:
    return bool(text) and not text.isspace()


def lines_of(blocks: Iterable[str]) -> Iterator[str]:
    rest = ""
    for block in blocks:
        *whole, rest = (rest + block).split("\n")
        yield from (f"{line}\n" for line in whole)
    if rest:
        yield rest


def read_lines(source: Source) -> Iterator[Document]:
    decoder = msgspec.json.Decoder(Line)
    for number, text in enumerate(lines_of(decode(source)), start=1):
        if not not_blank(text):
            continue
        try:
            line = decoder.decode(text)
        except (msgspec.DecodeError, UnicodeEncodeError) as error:
            raise DataError(wrong_line(source.path, number, str(error))) from None
        if (line.body is None) == (line.turns is None):
            raise DataError(wrong_line(source.path, number, f"it has {'both' if line.turns else 'neither'}"))
        if line.turns:
            yield from_turns(line.turns, line.meta, source.template)
        else:
            yield from from_text(line.body or "", line.meta)


def wrong_line(path: Path, number: int, reason: str) -> str:
    return f'{path}, line {number}: should be {{"body": "…"}} or {{"turns": ["…", …]}}, with a "meta" or without ({reason}).'


def read_column(source: Source) -> Iterator[str]:
    """One column of a table. Raises DataError where a row is not as wide as the first."""
    delimiter, separator = ("\t", "tabs") if source.path.suffix.lower() == ".tsv" else (",", "commas")
    rows = csv.reader(lines_of(decode(source)), delimiter=delimiter, strict=True)
    try:
        first = next((row for row in rows if row), [""])
        index, headed = choose_column(source.path, first, source.column)
        if not headed:
            yield first[index]
        for row in rows:
            if row and len(row) != len(first):
                raise DataError(
                    f"{source.path}, line {rows.line_num}: {len(row)} columns, and the first line has {len(first)}: "
                    f'a text with {separator} in it needs "quotes" around it.'
                )
            if row:
                yield row[index]
    except csv.Error as error:
        raise DataError(
            f'{source.path}, line {rows.line_num}: {error}: a quote in a text is written twice, and "quotes" end.'
        ) from None


def choose_column(path: Path, first: list[str], column: str | None) -> tuple[int, bool]:
    """Which column to read, and whether the first row is a header."""
    names = [name.strip() for name in first]
    if column is not None:
        if column not in names:
            raise DataError(f"{path} has no column {column!r} in its first line, which has {listing(names)}.")
        return names.index(column), True
    if len(names) == 1:
        return 0, names[0].casefold().removesuffix("s") in HEADERS
    for usual in ("body", "text"):
        if usual in (lower := [name.casefold() for name in names]):
            return lower.index(usual), True
    raise DataError(
        f"{path} has {len(names)} columns, and none is called body or text: choose with --column: {listing(names)}."
    )


def listing(names: list[str]) -> str:
    shown = ", ".join(repr(name[:40]) for name in names[:20])
    return f"{shown} and {len(names) - 20} more" if len(names) > 20 else shown


@contextmanager
def refuse_other_archives(path: Path) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, KeyError) as error:
        raise DataError(
            f"{path} is not what gpt-2-simple's encode_dataset writes ({error}): encode the text again."
        ) from None


def read_arrays(source: Source) -> Iterator[Iterator[str]]:
    """The text of each array of an archive."""
    assert source.vocabulary is not None
    vocabulary = source.vocabulary
    known = [vocabulary.bytes_of(token) for token in range(len(vocabulary))]
    # The real end of text becomes a border like those that encode_dataset wrote in seven ordinary tokens.
    known[vocabulary.end_of_text or 0] = END_OF_TEXT.encode()
    with refuse_other_archives(source.path), zipfile.ZipFile(source.path) as archive:
        for entry in archive.infolist():
            with archive.open(entry) as file:
                yield read_array(source, file, known)
            source.progress(entry.compress_size)


def read_array(source: Source, file: IO[bytes], known: list[bytes]) -> Iterator[str]:
    """An array of token ids as text, block by block."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with refuse_other_archives(source.path):
        for tokens in token_blocks(file):
            strange = tokens[(tokens < 0) | (tokens >= len(known))]
            if len(strange):
                raise DataError(
                    f"{source.path} holds the token {strange[0]}, and the vocabulary has {len(known):,}: "
                    "name the folder of the one that it was encoded with as --vocabulary."
                )
            try:
                yield decoder.decode(b"".join(map(known.__getitem__, tokens.tolist())), final=not len(tokens))
            except UnicodeDecodeError:
                raise DataError(
                    f"{source.path} is no text in this vocabulary: name the folder of the one that it was encoded with "
                    "as --vocabulary."
                ) from None


def token_blocks(file: IO[bytes]) -> Iterator[NDArray[np.integer[Any]]]:
    """The numbers of an array, as many at a time as make a block, and at last none."""
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    _, _, kind = header(file)
    if kind.kind not in "iu":
        raise ValueError(f"an array of {kind}, and not of token ids")
    tokens = np.zeros(1, kind)
    while len(tokens):
        tokens = np.frombuffer(file.read(BLOCK // 4 * kind.itemsize), kind)
        yield tokens
