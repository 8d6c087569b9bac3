"""Table parts: the columns and rows of local files that a query can use, as Parquet files.

The parts are in the journal. Files of JSON lines are read block by block, so that an interrupted fetch resumes with the next
block and a damaged file is used up to the damage. Other files are resumed from their beginning.

BigQuery's _TABLE_SUFFIX is the end of a monthly table's name. Here it is the month of a row's `created_utc`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any

import duckdb

from app.errors import DataError
from finetune.data.input_files import InputFile, printable
from finetune.data.tables import open_table
from finetune.fetch import dumps
from finetune.fetch.duckdb_session import LARGEST_ROW
from finetune.fetch.googlesql.sql_types import identifier
from finetune.fetch.journal import Journal, write_rows
from finetune.fetch.parquet_rows import open_parquet
from finetune.fetch.predicate_pushdown import Predicate
from finetune.fetch.query import Table, wildcard
from finetune.fetch.source_files import SourceText

ROWS = 50_000
"""Rows of a table that are in a block."""
DUCKDB_TYPES = {
    "STRING": "VARCHAR", "INT64": "BIGINT", "FLOAT64": "DOUBLE", "BOOL": "BOOLEAN", "TIMESTAMP": "TIMESTAMP WITH TIME ZONE",
    "DATE": "DATE",
}  # fmt: skip
# The month of a row, such as 2019_08; NULL for a time after the year 9999, which no calendar function takes.
SECONDS = "CASE WHEN created_utc BETWEEN 0 AND 253402300799 THEN created_utc END"
MONTH = f"strftime(make_timestamp({SECONDS} * 1000000), '%Y_%m')"


class PartWriter:
    """Reads the files of one table into parts. The journal knows which files and blocks are done."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        table: Table,
        where: Predicate,
        journal: Journal,
        progress: Callable[[int], object],
        encoding: str = "utf-8",
    ) -> None:
        """`where` is the predicate that rows have to meet; `progress` is told of the bytes read; `encoding` is that of text."""
        self.connection = connection
        self.table = table
        self.where = where
        self.journal = journal
        self.progress = progress
        self.encoding = encoding

    def read(self, files: Sequence[InputFile]) -> str:
        """Read the files. Returns the relation, as DuckDB SQL, of all their parts. Raises DataError."""
        readers = {"table": self._read_table, "parquet": self._read_parquet}
        for number, file in enumerate(files):
            readers.get(file.kind or "", self._read_lines)(file, f"{self.table.name}-{number:05}")
        pattern = f"{self.table.name}-*.parquet"
        if not any(self.journal.parts.glob(pattern)):
            return empty_relation(self.table)
        return relation_of_parts(self.connection, self.table, f"{self.journal.parts}/{pattern}")

    def _read_lines(self, file: InputFile, name: str) -> None:
        state = self._state(file, name)
        if state["done"]:
            self.progress(file.path.stat().st_size)
            return
        dump = dumps.Dump(file, self.progress, encoding=self.encoding)
        for block, lines in dump.blocks(self.journal.folder, skip=state["blocks"]):
            state["corrupt"] += self._read_block(block, f"{name}-{state['blocks']:05}")
            state["lines"] += lines
            state["blocks"] += 1
            self._keep(name, state)
        if state["lines"] and state["corrupt"] == state["lines"]:
            raise DataError(f"{file} has no line that is a JSON object with any of {', '.join(self.table.columns)}.")
        self._keep(name, state | {"done": True, "incomplete": dump.incomplete})

    def _state(self, file: InputFile, name: str) -> dict[str, Any]:
        """What the journal has of a file."""
        found: dict[str, Any] = self.journal.state.get(f"file {name}") or {
            "path": printable(str(file)), "blocks": 0, "lines": 0, "corrupt": 0, "first_corrupt": None, "incomplete": None,
            "done": False,
        }  # fmt: skip
        return found

    def _keep(self, name: str, state: Mapping[str, Any]) -> None:
        self.journal.keep(**{f"file {name}": state})

    def _read_block(self, block: Path, name: str) -> int:
        """Keep what the query can use of a block. Returns the number of lines that have none of the columns."""
        columns = ", ".join(
            f"{identifier(column)}: '{DUCKDB_TYPES[kind]}'" for column, kind in self.table.columns.items()
        )
        corrupt = " AND ".join(f"{identifier(column)} IS NULL" for column in self.table.columns)
        self.connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE block AS
            SELECT *, {corrupt} AS corrupt
            FROM read_json($_block, format = 'newline_delimited', columns = {{{columns}}}, ignore_errors = true,
                maximum_object_size = {LARGEST_ROW})
            WHERE ({self.where.sql}) OR corrupt""",
            {"_block": str(block), **self.where.values},
        ).fetchall()
        lines: int = self.connection.execute("SELECT count(*) FROM block WHERE corrupt").fetchall()[0][0]
        self._write_part("SELECT * EXCLUDE (corrupt) FROM block WHERE NOT corrupt", name, {})
        return lines

    def _read_table(self, file: InputFile, name: str) -> None:
        """Keep what the query can use of a .csv or .tsv, block by block. An empty cell is NULL, as in BigQuery."""
        state = self._state(file, name)
        if state["done"]:
            self.progress(file.path.stat().st_size)
            return
        lines = SourceText([], self.encoding).lines(file, self.progress)
        table = open_table(str(file), lines, self.table.columns)
        index = {column: table.column(column) for column in self.table.columns}
        misfits: list[str] = []
        rows = ({column: row[at] or None for column, at in index.items()} for row in table.rows(misfits.append))
        block = self.journal.folder / "block.jsonl"
        for number in count():
            with block.open("wb") as written:
                if not write_rows(written, islice(rows, ROWS)):
                    break
            text = ", ".join(f"{identifier(column)}: 'VARCHAR'" for column in self.table.columns)
            part = f"read_json($_block, format = 'newline_delimited', columns = {{{text}}}, maximum_object_size = {LARGEST_ROW})"
            self._write_part(
                self._usable_rows(part), f"{name}-{number:05}", {"_block": str(block), **self.where.values}
            )
        block.unlink()
        self._keep(
            name, state | {"corrupt": len(misfits), "first_corrupt": misfits[0] if misfits else None, "done": True}
        )

    def _read_parquet(self, file: InputFile, name: str) -> None:
        """Keep what the query can use of a .parquet file. DuckDB reads it by a link with a plain name."""
        state = self._state(file, name)
        self.progress(file.path.stat().st_size)
        if state["done"]:
            return
        link = self.journal.folder / "table.parquet"
        link.unlink(missing_ok=True)
        link.symlink_to(file.path.absolute())
        with open_parquet(file) as parquet:
            there = {column.lower() for column in parquet.schema_arrow.names}
        if missing := [column for column in self.table.columns if column.lower() not in there]:
            raise DataError(f"{file} has no column {missing[0]}; the query reads {', '.join(self.table.columns)}.")
        self._write_part(self._usable_rows("read_parquet($_link)"), name, {"_link": str(link), **self.where.values})
        link.unlink()
        self._keep(name, state | {"done": True})

    def _usable_rows(self, relation: str) -> str:
        """SQL for the rows that meet the predicate, in the columns and types of the table; a value of another type is NULL."""
        columns = ", ".join(
            f"TRY_CAST({identifier(column)} AS {DUCKDB_TYPES[kind]}) AS {identifier(column)}"
            for column, kind in self.table.columns.items()
        )
        return f"SELECT * FROM (SELECT {columns} FROM {relation}) WHERE ({self.where.sql})"

    def _write_part(self, sql: str, name: str, values: Mapping[str, Any]) -> None:
        aside = self.journal.parts / f".{name}"
        self.connection.execute(
            f"COPY ({sql}) TO $_aside (FORMAT parquet)", {"_aside": str(aside), **values}
        ).fetchall()
        aside.replace(self.journal.parts / f"{name}.parquet")


def files_read(journal: Journal) -> dict[str, Any]:
    """Of all files together: the lines read and those that were no rows. For files that end early: why, by path."""
    states = [state for name, state in journal.state.items() if name.startswith("file ")]
    return {
        "lines": sum(state["lines"] for state in states),
        "corrupt": sum(state["corrupt"] for state in states),
        "first_corrupt": next((state["first_corrupt"] for state in states if state["first_corrupt"]), None),
        "incomplete": {state["path"]: state["incomplete"] for state in states if state["incomplete"]},
    }


def empty_relation(table: Table) -> str:
    """A table without rows, as DuckDB SQL."""
    columns = ", ".join(f"NULL::{DUCKDB_TYPES[kind]} AS {identifier(name)}" for name, kind in table.columns.items())
    return f"(SELECT {columns}, '' AS _TABLE_SUFFIX WHERE FALSE)"


def relation_of_parts(connection: duckdb.DuckDBPyConnection, table: Table, pattern: str) -> str:
    """The parts as DuckDB SQL. Those of a wildcard table have _TABLE_SUFFIX, and only rows of the months that match.

    Raises DataError if a wildcard table has no column to tell the month by.
    """
    connection.execute(f"SET VARIABLE parts_{table.name} = ?", [pattern]).fetchall()
    parts = f"read_parquet(getvariable('parts_{table.name}'))"
    if not table.address.endswith("*"):
        return f"(SELECT * FROM {parts})"
    if "created_utc" not in table.columns:
        raise DataError(f"{table.name} is a wildcard table, so it needs the column created_utc, a row's time.")
    prefix = wildcard(table.address)[:-1]
    return (
        f"(SELECT *, substr({MONTH}, {len(prefix) + 1}) AS _TABLE_SUFFIX FROM {parts} "
        f"WHERE starts_with({MONTH}, '{prefix}'))"
    )
