"""`fetch jsonl`: documents that BigQuery exported or `fetch` wrote, to clean them again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import msgspec

from app.errors import DataError
from finetune.fetch.dumps import LINE_SUFFIXES, Dump, find_files
from finetune.fetch.journal import Journal, Row, write_rows
from finetune.fetch.row_source import FetchedRows
from finetune.progress_bar import progress_bar

SUFFIXES = (*LINE_SUFFIXES, ".parquet")


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
    """Of the lines read so far: how many, how many are no documents, and which columns the documents have."""

    lines: int = 0
    corrupt: int = 0
    columns: set[str] = field(default_factory=set)


def fetch_jsonl(sources: Sequence[str], options: JsonlOptions, journal: Journal) -> FetchedRows:
    """Leave the documents in the journal, and count the lines that are none. Raises SettingError or DataError."""
    paths = find_files(sources, SUFFIXES)
    size = sum(path.stat().st_size for path in paths)
    counts = LineCounts()
    incomplete: dict[str, str] = {}
    with journal.adding(anew=True) as file, progress_bar("read", size, "B") as progress:
        for path in paths:
            if path.suffix.lower() == ".parquet":
                write_rows(file, documents_of(parquet_lines(path), counts))
                progress.update(path.stat().st_size)
                continue
            dump = Dump(path, progress.update)
            read_dump(dump, file, journal.folder, counts)
            if dump.incomplete:
                incomplete[str(path)] = dump.incomplete
    if counts.lines and counts.corrupt == counts.lines:
        raise DataError(f'{", ".join(sources)} has no line that is {{"body": "…"}} or {{"turns": ["…", …]}}.')
    read = {"bytes_read": size, "incomplete": incomplete, "lines": counts.lines, "corrupt": counts.corrupt}
    return FetchedRows(sorted(counts.columns), read)


def read_dump(dump: Dump, file: BinaryIO, folder: Path, counts: LineCounts) -> None:
    """Write a dump's documents to `file`. `folder` holds one block at a time."""
    for block, _ in dump.blocks(folder):
        with block.open("rb") as lines:
            write_rows(file, documents_of(lines, counts))


def parquet_lines(path: Path) -> Iterator[bytes]:
    """The rows of a .parquet file as JSON lines. Raises DataError."""
    import duckdb

    from finetune.fetch.duckdb_session import relation_of_table, rows_of

    with duckdb.connect() as connection:
        try:
            for row in rows_of(connection.sql(f"SELECT * FROM {relation_of_table(path)}")):
                yield msgspec.json.encode(row)
        except duckdb.Error as error:
            raise DataError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None


def documents_of(lines: Iterable[bytes], counts: LineCounts) -> Iterator[Row]:
    """The documents among some lines. Adds the lines to `counts`."""
    decoder = msgspec.json.Decoder(JsonlDocument)
    for line in lines:
        counts.lines += 1
        try:
            found = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            counts.corrupt += 1
            continue
        if found.body is None and not found.turns:
            counts.corrupt += 1
            continue
        document: Row = msgspec.to_builtins(found)
        counts.columns.update(document)
        yield document
