"""Table parts: the columns and rows of local files that a query can use, as Parquet files.

The parts are in the journal. Files of JSON lines are read block by block, so that an interrupted fetch resumes with the next
block and a damaged file is used up to the damage. DuckDB reads tables (.csv, .tsv, .parquet) by itself.

BigQuery's _TABLE_SUFFIX is the end of a monthly table's name. Here it is the month of a row's `created_utc`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from app.errors import DataError
from finetune.fetch import dumps
from finetune.fetch.duckdb_session import LARGEST_ROW, count_rejected, identifier, relation_of_table, string_literal
from finetune.fetch.journal import Journal
from finetune.fetch.predicate_pushdown import Predicate
from finetune.fetch.query import Table, wildcard

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
    ) -> None:
        """`where` is the predicate that rows have to meet; `progress` is told of the bytes read."""
        self.connection = connection
        self.table = table
        self.where = where
        self.journal = journal
        self.progress = progress

    def read(self, paths: Sequence[Path]) -> str:
        """Read the files. Returns the relation, as DuckDB SQL, of all their parts. Raises DataError."""
        for number, path in enumerate(paths):
            read = self._read_table if path.suffix.lower() in dumps.TABLE_SUFFIXES else self._read_lines
            read(path, f"{self.table.name}-{number:05}")
        pattern = f"{self.table.name}-*.parquet"
        if not any(self.journal.parts.glob(pattern)):
            return empty_relation(self.table)
        return relation_of_parts(self.table, f"{self.journal.parts}/{pattern}")

    def _read_lines(self, path: Path, name: str) -> None:
        key = f"file {name}"
        state = self.journal.state.get(key) or new_state(path)
        if state["done"]:
            self.progress(path.stat().st_size)
            return
        dump = dumps.Dump(path, self.progress)
        for block, lines in dump.blocks(self.journal.folder, skip=state["blocks"]):
            state["corrupt"] += self._read_block(block, f"{name}-{state['blocks']:05}")
            state["lines"] += lines
            state["blocks"] += 1
            self.journal.keep(**{key: state})
        if state["lines"] and state["corrupt"] == state["lines"]:
            raise DataError(f"{path} has no line that is a JSON object with any of {', '.join(self.table.columns)}.")
        self.journal.keep(**{key: state | {"done": True, "incomplete": dump.incomplete}})

    def _read_block(self, block: Path, name: str) -> int:
        """Keep what the query can use of a block. Returns the number of lines that have none of the columns."""
        columns = ", ".join(
            f"{identifier(column)}: '{DUCKDB_TYPES[kind]}'" for column, kind in self.table.columns.items()
        )
        corrupt = " AND ".join(f"{identifier(column)} IS NULL" for column in self.table.columns)
        self.connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE block AS
            SELECT *, {corrupt} AS corrupt
            FROM read_json($block, format = 'newline_delimited', columns = {{{columns}}}, ignore_errors = true,
                maximum_object_size = {LARGEST_ROW})
            WHERE ({self.where.sql}) OR corrupt""",
            {"block": str(block), **self.where.values},
        ).fetchall()
        lines: int = self.connection.execute("SELECT count(*) FROM block WHERE corrupt").fetchall()[0][0]
        self._write_part("SELECT * EXCLUDE (corrupt) FROM block WHERE NOT corrupt", name, {})
        return lines

    def _read_table(self, path: Path, name: str) -> None:
        key = f"file {name}"
        state = self.journal.state.get(key) or new_state(path)
        self.progress(path.stat().st_size)
        if state["done"]:
            return
        file = relation_of_table(path)
        self._check_columns(path, file)
        columns = ", ".join(
            f"TRY_CAST({identifier(column)} AS {DUCKDB_TYPES[kind]}) AS {identifier(column)}"
            for column, kind in self.table.columns.items()
        )
        self._write_part(
            f"SELECT * FROM (SELECT {columns} FROM {file}) WHERE ({self.where.sql})", name, self.where.values
        )
        state["corrupt"] = count_rejected(self.connection, path)
        self.journal.keep(**{key: state | {"done": True}})

    def _check_columns(self, path: Path, file: str) -> None:
        there = {column.lower() for column in self.connection.sql(f"SELECT * FROM {file}").columns}
        if missing := [column for column in self.table.columns if column.lower() not in there]:
            raise DataError(f"{path} has no column {missing[0]}; the query reads {', '.join(self.table.columns)}.")

    def _write_part(self, sql: str, name: str, values: Mapping[str, Any]) -> None:
        aside = self.journal.parts / f".{name}"
        self.connection.execute(f"COPY ({sql}) TO $aside (FORMAT parquet)", {"aside": str(aside), **values}).fetchall()
        aside.replace(self.journal.parts / f"{name}.parquet")


def new_state(path: Path) -> dict[str, Any]:
    """What the journal has of a file that nothing was read of yet."""
    return {"path": str(path), "blocks": 0, "lines": 0, "corrupt": 0, "incomplete": None, "done": False}


def files_read(journal: Journal) -> dict[str, Any]:
    """Of all files together: the lines read and those that were no rows. For files that end early: why, by path."""
    states = [state for name, state in journal.state.items() if name.startswith("file ")]
    return {
        "lines": sum(state["lines"] for state in states),
        "corrupt": sum(state["corrupt"] for state in states),
        "incomplete": {state["path"]: state["incomplete"] for state in states if state["incomplete"]},
    }


def empty_relation(table: Table) -> str:
    """A table without rows, as DuckDB SQL."""
    columns = ", ".join(f"NULL::{DUCKDB_TYPES[kind]} AS {identifier(name)}" for name, kind in table.columns.items())
    return f"(SELECT {columns}, '' AS _TABLE_SUFFIX WHERE FALSE)"


def relation_of_parts(table: Table, pattern: str) -> str:
    """The parts as DuckDB SQL. Those of a wildcard table have _TABLE_SUFFIX, and only rows of the months that match.

    Raises DataError if a wildcard table has no column to tell the month by.
    """
    parts = f"read_parquet({string_literal(pattern)})"
    if not table.address.endswith("*"):
        return f"(SELECT * FROM {parts})"
    if "created_utc" not in table.columns:
        raise DataError(f"{table.name} is a wildcard table, so it needs the column created_utc, a row's time.")
    prefix = wildcard(table.address)[:-1]
    return (
        f"(SELECT *, substr({MONTH}, {len(prefix) + 1}) AS _TABLE_SUFFIX FROM {parts} "
        f"WHERE starts_with({MONTH}, '{prefix}'))"
    )
