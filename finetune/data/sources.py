"""Input formats (.txt, .csv, .tsv, .jsonl, .npz), read as streams of documents.

    .txt         running text; gpt-2-simple's marks <|startoftext|> and <|endoftext|> separate documents and are removed
    .csv, .tsv   one document per row, from one column; the marks separate documents here too
    .jsonl       one document per line: {"body": text, "meta"?: code} or {"turns": [text, …], "meta"?: code}
    .npz         an archive of gpt-2-simple's encode_dataset: decoded into text, then read like .txt

At most a block or a line of a file is in memory. A DataError names the file and line that cannot be read.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from app.engine.bundle import Template
from app.engine.tokenizer import Tokenizer
from app.errors import DataError
from finetune.data.documents import SLACK, Document, cut, from_text, from_turns
from finetune.data.token_archive import read_archive

BLOCK = 2**20
LONGEST_CELL = 2**24
"""Characters. A longer cell is taken for a quote that was never closed."""
# A table of one column has a header if its first cell is one of these, in singular or plural.
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

SplitAt = Literal["marks", "lines", "blank_lines"]
MARK = r"<\|(?:start|end)oftext\|>"
BORDERS: dict[SplitAt, re.Pattern[str]] = {
    # An end mark and the start mark after it are one border. A start mark and the end mark after it enclose a document,
    # even an empty one.
    "marks": re.compile(r"<\|endoftext\|>\s*(?:<\|startoftext\|>)?|<\|startoftext\|>"),
    "lines": re.compile(rf"(?:(?:\n|{MARK})\s*)+"),
    "blank_lines": re.compile(rf"(?:(?:\n[^\S\n]*\n|{MARK})\s*)+"),
}


class JsonlRecord(msgspec.Struct, forbid_unknown_fields=True):
    """One line of a .jsonl file. Exactly one of `body` and `turns` is given."""

    body: str | None = None
    turns: Annotated[list[str], msgspec.Meta(min_length=1)] | None = None
    meta: str | dict[str, str | int | float | bool | None] | None = None


@dataclass(frozen=True)
class Source:
    """One input file and how to read it.

    `vocabulary` is the one that an .npz was encoded with. `progress` is called with the number of bytes just read.
    """

    path: Path
    column: str | None
    split: SplitAt
    template: Template
    encoding: str
    vocabulary: Tokenizer | None
    progress: Callable[[int], object]

    def documents(self) -> Iterator[Document]:
        match self.path.suffix.lower():
            case ".txt":
                texts = split_text(decode(self), BORDERS[self.split])
            case ".npz":
                texts = self.archived_texts()
            case ".jsonl":
                yield from read_jsonl(self)
                return
            case _:
                texts = (text for cell in read_column(self) for text in split_text([cell], BORDERS["marks"]))
        for text in texts:
            yield from from_text(text)

    def archived_texts(self) -> Iterator[str]:
        assert self.vocabulary is not None
        for blocks in read_archive(self.path, self.vocabulary, self.progress):
            yield from split_text(blocks, BORDERS[self.split])


def decode(source: Source) -> Iterator[str]:
    """A file's text block by block, with every line end as a newline, without a byte-order mark.

    Raises DataError naming the line and byte that do not fit the encoding.
    """
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
    """The texts between matches of `border`, from a text that comes in blocks.

    Blank text before the first border and after the last one is dropped. A long text comes in several pieces.
    """
    rest, bordered = "", False
    for block in chain(blocks, [None]):
        rest += block or ""
        start, end = 0, len(rest)
        for match in border.finditer(rest):
            if match.end() > len(rest) - SLACK and block is not None:  # The border may continue in the next block.
                end = match.start()
                break
            if bordered or not is_blank(rest[start : match.start()]):
                yield rest[start : match.start()]
            start, bordered = match.end(), True
        *pieces, last = cut(rest[start:end])
        yield from pieces
        rest = last + rest[end:]
    if not (bordered and is_blank(rest)):
        yield rest


def is_blank(text: str) -> bool:
    return not text or text.isspace()


def lines_of(blocks: Iterable[str]) -> Iterator[str]:
    """The lines of a text that comes in blocks, each with its newline."""
    rest = ""
    for block in blocks:
        *whole, rest = (rest + block).split("\n")
        yield from (f"{line}\n" for line in whole)
    if rest:
        yield rest


def read_jsonl(source: Source) -> Iterator[Document]:
    """The document of each line that is not blank. Raises DataError naming the line that cannot be read."""
    decoder = msgspec.json.Decoder(JsonlRecord)
    for number, text in enumerate(lines_of(decode(source)), start=1):
        if is_blank(text):
            continue
        try:
            record = decoder.decode(text)
        except (msgspec.DecodeError, UnicodeEncodeError) as error:
            raise DataError(wrong_line(source.path, number, str(error))) from None
        if (record.body is None) == (record.turns is None):
            raise DataError(wrong_line(source.path, number, f"it has {'both' if record.turns else 'neither'}"))
        if record.turns:
            yield from_turns(record.turns, record.meta, source.template)
        else:
            yield from from_text(record.body or "", record.meta)


def wrong_line(path: Path, number: int, reason: str) -> str:
    return f'{path}, line {number}: should be {{"body": "…"}} or {{"turns": ["…", …]}}, and optionally a "meta" ({reason}).'


def read_column(source: Source) -> Iterator[str]:
    """The cells of one column. Raises DataError naming a row that has more or fewer columns than the first."""
    csv.field_size_limit(LONGEST_CELL)
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
                    f'put "quotes" around a text that contains {separator}.'
                )
            if row:
                yield row[index]
    except csv.Error as error:
        raise DataError(
            f"{source.path}, line {rows.line_num}: {error}: write a quote inside a text twice, and close every quoted text."
        ) from None


def choose_column(path: Path, first: list[str], column: str | None) -> tuple[int, bool]:
    """The index of the column to read, and whether the first row is a header. Raises DataError."""
    names = [name.strip() for name in first]
    if column is not None:
        if column not in names:
            raise DataError(f"{path} has no column {column!r} in its first line, which has {listing(names)}.")
        return names.index(column), True
    if len(names) == 1:
        return 0, names[0].casefold().removesuffix("s") in HEADERS
    lower = [name.casefold() for name in names]
    for usual in ("body", "text"):
        if usual in lower:
            return lower.index(usual), True
    raise DataError(
        f"{path} has {len(names)} columns, and none is called body or text: choose with --column: {listing(names)}."
    )


def listing(names: list[str]) -> str:
    """The first 20 names, each shortened to 40 characters, for a message."""
    shown = ", ".join(repr(name[:40]) for name in names[:20])
    return f"{shown} and {len(names) - 20} more" if len(names) > 20 else shown
