"""`fetch jsonl`: documents that BigQuery exported or `fetch` wrote, to clean them again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import msgspec

from app.errors import DataError
from finetune.data.file_kinds import WRONG_JSON
from finetune.data.input_files import InputFile, printable
from finetune.fetch.dumps import Dump
from finetune.fetch.journal import Journal, Row, write_rows
from finetune.fetch.parquet_rows import open_parquet, parquet_rows
from finetune.fetch.row_source import FetchedRows
from finetune.fetch.source_files import SourceText
from finetune.progress_bar import progress_bar


class JsonlOptions(msgspec.Struct, frozen=True):
    """JSON lines need no options."""


class JsonlDocument(msgspec.Struct, omit_defaults=True):
    """A line that is a document, with what the guardrails look at."""

    body: str | None = None
    turns: list[str] | None = None
    meta: str | dict[str, str | int | float | bool | None] | None = None
    author: str | None = None
    authors: list[str] | None = None
    score: float | None = None
    scores: list[float] | None = None


@dataclass
class LineCounts:
    """Of the lines read so far: how many, how many are no documents, the first of them, and which columns the documents have."""

    lines: int = 0
    corrupt: int = 0
    first_corrupt: str | None = None
    columns: set[str] = field(default_factory=set)


def fetch_jsonl(sources: SourceText, options: JsonlOptions, journal: Journal) -> FetchedRows:
    """Leave the documents in the journal, and count the lines that are none. Raises SettingError or DataError."""
    files = sources.files("jsonl", "parquet")
    size = sum(path.stat().st_size for path in {file.path for file in files})
    counts = LineCounts()
    incomplete: dict[str, str] = {}
    with journal.adding(anew=True) as rows, progress_bar("read", size, "B") as progress:
        for file in files:
            if file.kind == "parquet":
                write_rows(rows, documents_of(file, parquet_lines(file), counts))
                progress.update(file.path.stat().st_size)
                continue
            dump = Dump(file, progress.update, encoding=sources.encoding)
            read_dump(dump, rows, journal.folder, counts)
            if dump.incomplete:
                incomplete[printable(str(file))] = dump.incomplete
    if counts.lines and counts.corrupt == counts.lines:
        raise DataError(
            f'{", ".join(sources.patterns)} has no line that is {{"body": "…"}} or {{"turns": ["…", …]}}: '
            f"{counts.first_corrupt}."
        )
    read = {
        "bytes_read": size, "incomplete": incomplete, "lines": counts.lines, "corrupt": counts.corrupt,
        "first_corrupt": counts.first_corrupt,
    }  # fmt: skip
    return FetchedRows(sorted(counts.columns), read)


def wrong_fields(document: JsonlDocument) -> str | None:
    """Why a line is no document; None if it is one."""
    if document.body is None and not document.turns:
        return "it has neither body nor turns"
    return "it has both body and turns" if document.body is not None and document.turns else None


def read_dump(dump: Dump, rows: BinaryIO, folder: Path, counts: LineCounts) -> None:
    """Write a dump's documents to `rows`. `folder` holds one block at a time."""
    before = 0
    for block, lines in dump.blocks(folder):
        with block.open("rb") as file:
            write_rows(rows, documents_of(dump.file, file, counts, before))
        before += lines


def parquet_lines(file: InputFile) -> Iterator[bytes]:
    """The rows of a .parquet file as JSON lines. Raises DataError."""
    with open_parquet(file) as parquet:
        yield from map(msgspec.json.encode, parquet_rows(file, parquet))


def documents_of(file: InputFile, lines: Iterable[bytes], counts: LineCounts, before: int = 0) -> Iterator[Row]:
    """The documents among some lines, which come after `before` others of the file. Adds the lines to `counts`."""
    decoder = msgspec.json.Decoder(JsonlDocument, strict=False)
    for number, line in enumerate(lines, start=before + 1):
        counts.lines += 1
        try:
            found = decoder.decode(line)
            reason = wrong_fields(found)
        except WRONG_JSON as error:
            reason = str(error)
        if reason:
            counts.corrupt += 1
            counts.first_corrupt = counts.first_corrupt or f"{printable(str(file))}, line {number}: {reason}"
            continue
        document: Row = msgspec.to_builtins(found)
        counts.columns.update(document)
        yield document
