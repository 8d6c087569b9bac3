"""A query on local files: the SQL that is meant for BigQuery, run by DuckDB, out of core.

Lines of JSON, plain or compressed, are read block by block; of each block the columns and rows that the query can use
are kept on disk as a part, so that an interrupted fetch goes on with the next block, and what is larger than memory or
cannot be read to its end is no hindrance. Tables (.csv, .parquet) DuckDB reads by itself.

_TABLE_SUFFIX, which on BigQuery is the end of a monthly table's name, is here the month of `created_utc`, wherever a row lies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from app.errors import DataError, SettingError
from finetune.fetch import dumps
from finetune.fetch.dumps import find_files
from finetune.fetch.googlesql import condition, connect, located, position, refusals, translate
from finetune.fetch.journal import Journal, Row, write_rows
from finetune.fetch.query import Query, SqlError, Table, Value, wildcard
from finetune.progress_bar import progress_bar

TABLES = (".csv", ".tsv", ".parquet")
SUFFIXES = (*dumps.SUFFIXES, *TABLES)
TYPES = {
    "STRING": "VARCHAR", "INT64": "BIGINT", "FLOAT64": "DOUBLE", "BOOL": "BOOLEAN", "TIMESTAMP": "TIMESTAMP WITH TIME ZONE",
    "DATE": "DATE",
}  # fmt: skip
BATCH = 10_000


class Read(NamedTuple):
    """What was read: bytes on disk, lines of JSON, those that were no JSON, and why a file was not read to its end."""

    size: int
    lines: int
    corrupt: int
    incomplete: dict[str, str]


def files_of(query: Query, sources: Sequence[str]) -> dict[str, list[Path]]:
    """The files of each table that the query reads. Raises SettingError naming a source or table without files."""
    names = [table.name for table in query.tables]
    if not names:
        raise DataError(f"{query.path} says no `-- Tables:` at its top, so nothing is known of their columns.")
    found: dict[str, list[Path]] = {name: [] for name in names}
    for source in sources:
        name, equals, pattern = source.partition("=")
        if not equals or name not in names:
            name, pattern = names[0], source
            if len(names) > 1:
                raise SettingError(
                    f"--source is {source!r}, and should say of which table: {names[0]}=… or {names[1]}=…."
                )
        found[name] += [file for file in find_files([pattern], SUFFIXES) if file not in found[name]]
    if missing := [name for name, files in found.items() if not files]:
        raise SettingError(f"{query.name} reads {missing[0]} too: add --source {missing[0]}=….")
    return found


def fetch_rows(
    query: Query,
    values: Mapping[str, Value],
    files: Mapping[str, Sequence[Path]],
    journal: Journal,
    memory: str,
) -> Read:
    """Run the query on files and leave its rows in the journal. Raises SqlError or DataError."""
    connection = connect()
    with refusals(str(query.path), memory), closing(connection):
        connection.execute(f"SET memory_limit = '{memory}'").fetchall()
        connection.execute(f"SET temp_directory = '{quoted(journal.folder / 'spilled')}'").fetchall()
        check(connection, query, values)
        relations = {}
        total = sum(path.stat().st_size for paths in files.values() for path in paths)
        with progress_bar("read", total, "B") as progress:
            for table in query.tables:
                where = condition(query.text, table.address, table.columns, values)
                reader = Reader(connection, table, where, journal, progress)
                relations[table.address] = reader.relation(files[table.name])
        with located(query.text):
            translated = translate(query.text, lambda name: relation_of(name, relations))
            found = connection.sql(translated, params=used(translated, values))
            with journal.adding(anew=True) as file:
                write_rows(file, rows_of(found))
    read = [state for name, state in journal.state.items() if name.startswith("file ")]
    return Read(
        total,
        sum(state["lines"] for state in read),
        sum(state["corrupt"] for state in read),
        {state["path"]: state["incomplete"] for state in read if state["incomplete"]},
    )


def check(connection: duckdb.DuckDBPyConnection, query: Query, values: Mapping[str, Value]) -> None:
    """Find what is wrong with the SQL before a file is read."""
    relations = {table.address: nothing(table) for table in query.tables}
    with located(query.text):
        translated = translate(query.text, lambda name: relation_of(name, relations))
        if missing := sorted(set(re.findall(r"\$(\w+)", translated)) - set(values)):
            name = missing[0]
            raise SqlError(f"Query parameter '{name}' not found", *position(query.text, f"@{name}"))
        connection.execute(f"EXPLAIN {translated}", used(translated, values)).fetchall()


def nothing(table: Table) -> str:
    """A table without rows."""
    columns = ", ".join(f'NULL::{TYPES[kind]} AS "{name}"' for name, kind in table.columns.items())
    return f"(SELECT {columns}, '' AS _TABLE_SUFFIX WHERE FALSE)"


def relation_of(name: str, relations: Mapping[str, str]) -> str:
    if name not in relations:
        raise SqlError(f"`{name}` is not among the `-- Tables:` at the top of the file", 1, 1)
    return relations[name]


def used(translated: str, values: Mapping[str, Value]) -> dict[str, Value]:
    """The values that a statement takes: DuckDB refuses others."""
    named = set(re.findall(r"\$(\w+)", translated))
    return {name: value for name, value in values.items() if name in named}


class Reader:
    """Reads the files of one table into parts: the columns that the query names, the rows that it may want."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, table: Table, where: str, journal: Journal, progress: Any
    ) -> None:
        self.connection = connection
        self.table = table
        self.where = where
        self.journal = journal
        self.progress = progress

    def relation(self, paths: Sequence[Path]) -> str:
        """The SQL for all the files of the table."""
        for number, path in enumerate(paths):
            read = self.read_table if path.suffix.lower() in TABLES else self.read_lines
            read(path, f"{self.table.name}-{number:05}")
        parts = f"{quoted(self.journal.parts)}/{self.table.name}-*.parquet"
        if not any(self.journal.parts.glob(f"{self.table.name}-*.parquet")):
            return nothing(self.table)
        return f"(SELECT *{self.suffix()} FROM read_parquet('{parts}'){self.months()})"

    def suffix(self) -> str:
        if not self.table.address.endswith("*"):
            return ""
        return f", substr({MONTH}, {len(wildcard(self.table.address))}) AS _TABLE_SUFFIX"

    def months(self) -> str:
        """Only rows of the tables that the wildcard stands for."""
        if not self.table.address.endswith("*"):
            return ""
        if "created_utc" not in self.table.columns:
            raise DataError(f"{self.table.name} needs the column created_utc, which says for each row its month.")
        return f" WHERE starts_with({MONTH}, '{wildcard(self.table.address)[:-1]}')"

    def read_lines(self, path: Path, name: str) -> None:
        state = self.journal.state.get(f"file {name}") or new_state(path)
        dump = dumps.Dump(path, self.progress.update)
        if state["done"]:
            self.progress.update(path.stat().st_size)
            return
        for block, lines in dump.blocks(self.journal.folder, skip=state["blocks"]):
            state["corrupt"] += self.read_block(block, f"{name}-{state['blocks']:05}")
            state["lines"] += lines
            state["blocks"] += 1
            self.journal.keep(**{f"file {name}": state})
        if state["lines"] and state["corrupt"] == state["lines"]:
            raise DataError(f"{path} has no line that is a JSON object with any of {', '.join(self.table.columns)}.")
        self.journal.keep(**{f"file {name}": state | {"done": True, "incomplete": dump.incomplete}})

    def read_block(self, block: Path, name: str) -> int:
        """Keep what the query may want of a block of lines. Returns how many lines are no objects with such columns."""
        columns = ", ".join(f"'{column}': '{TYPES[kind]}'" for column, kind in self.table.columns.items())
        empty = " AND ".join(f'"{column}" IS NULL' for column in self.table.columns)
        lines = (
            f"read_json('{quoted(block)}', format = 'newline_delimited', columns = {{{columns}}}, ignore_errors = true, "
            f"maximum_object_size = {dumps.BLOCK})"
        )
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE block AS SELECT *, {empty} AS empty FROM {lines} WHERE ({self.where}) OR empty"
        ).fetchall()
        corrupt: int = self.connection.execute("SELECT count(*) FROM block WHERE empty").fetchall()[0][0]
        self.write_part("SELECT * EXCLUDE (empty) FROM block WHERE NOT empty", name)
        return corrupt

    def read_table(self, path: Path, name: str) -> None:
        state = self.journal.state.get(f"file {name}") or new_state(path)
        self.progress.update(path.stat().st_size)
        if state["done"]:
            return
        if path.suffix.lower() == ".parquet":
            there = f"read_parquet('{quoted(path)}')"
        else:
            there = f"read_csv('{quoted(path)}', header = true, all_varchar = true, store_rejects = true)"
        columns = {column.lower() for column in self.connection.sql(f"SELECT * FROM {there}").columns}
        if missing := [column for column in self.table.columns if column.lower() not in columns]:
            raise DataError(f"{path} has no column {missing[0]}; the query reads {', '.join(self.table.columns)}.")
        casts = ", ".join(
            f'TRY_CAST("{name}" AS {TYPES[kind]}) AS "{name}"' for name, kind in self.table.columns.items()
        )
        self.write_part(f"SELECT * FROM (SELECT {casts} FROM {there}) WHERE ({self.where})", name)
        if path.suffix.lower() != ".parquet":
            rejected = "SELECT count(DISTINCT line) FROM reject_errors"
            state["corrupt"] = self.connection.execute(rejected).fetchall()[0][0]
            self.connection.execute("DROP TABLE reject_errors; DROP TABLE reject_scans").fetchall()
        self.journal.keep(**{f"file {name}": state | {"done": True}})

    def write_part(self, sql: str, name: str) -> None:
        aside = self.journal.parts / f".{name}"
        self.connection.execute(f"COPY ({sql}) TO '{quoted(aside)}' (FORMAT parquet)").fetchall()
        aside.replace(self.journal.parts / f"{name}.parquet")


def new_state(path: Path) -> dict[str, Any]:
    return {"path": str(path), "blocks": 0, "lines": 0, "corrupt": 0, "incomplete": None, "done": False}


def quoted(path: Path | str) -> str:
    """For a string of SQL."""
    return str(path).replace("'", "''")


def rows_of(found: duckdb.DuckDBPyRelation) -> Iterator[Row]:
    """A result as dictionaries, some at a time, numbers as BigQuery has them."""
    for batch in found.to_arrow_reader(BATCH):
        columns = [column.to_pylist() for column in batch.columns]
        for number, field in enumerate(batch.schema):
            if str(field.type).endswith(", 0)"):  # Sums are wider than any INT64.
                columns[number] = [None if value is None else int(value) for value in columns[number]]
        for values in zip(*columns, strict=True):
            yield dict(zip(batch.schema.names, values, strict=True))


# A time that no calendar has is no month.
SECONDS = "CASE WHEN created_utc BETWEEN 0 AND 253402300799 THEN created_utc END"
MONTH = f"strftime(make_timestamp({SECONDS} * 1000000), '%Y_%m')"
