"""A query on files: SQL for BigQuery, run by DuckDB on files that may be larger than memory.

First table_parts.py keeps the columns and rows of each file that the query can use. Then the query runs on these parts.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb

from app.errors import DataError, SettingError
from finetune.fetch.duckdb_session import open_duckdb, position_of, rows_of, runtime_errors, sql_errors
from finetune.fetch.dumps import LINE_SUFFIXES, TABLE_SUFFIXES, find_files
from finetune.fetch.googlesql import selected_columns, translate
from finetune.fetch.journal import Journal, write_rows
from finetune.fetch.parameters import Value, bind
from finetune.fetch.predicate_pushdown import pushed_down_predicate
from finetune.fetch.query import Query, SqlError
from finetune.fetch.row_source import FetchedRows, stamps
from finetune.fetch.table_parts import PartWriter, empty_relation, files_read
from finetune.progress_bar import progress_bar

SUFFIXES = (*LINE_SUFFIXES, *TABLE_SUFFIXES)


class FileQueryRows:
    """A RowSource: the rows of a query on local files."""

    def __init__(self, query: Query, sources: Sequence[str], param: Sequence[str], memory: str) -> None:
        """`memory` is what DuckDB may use before it spills to disk, such as 1GB. Raises SettingError or DataError."""
        self.query, self.memory = query, memory
        self.values = bind(query.name, query.parameters, param)
        self.files = files_of_tables(query, sources)

    def request(self) -> dict[str, Any]:
        return self._origin() | {"files": [(name, stamps(paths)) for name, paths in self.files.items()]}

    def _origin(self) -> dict[str, Any]:
        return self.query.origin("duckdb", self.values)

    def expected_columns(self) -> Collection[str]:
        return selected_columns(self.query)

    def fetch(self, journal: Journal) -> FetchedRows:
        """Read the files into parts, resuming after the last one, then run the query. Raises DataError."""
        with (
            self.query.positioned_errors(),
            runtime_errors(str(self.query.path), self.memory),
            closing(open_duckdb()) as connection,
        ):
            connection.execute("SET memory_limit = ?", [self.memory])
            connection.execute("SET temp_directory = ?", [str(journal.folder / "spilled")])
            check(connection, self.query, self.values)
            relations = self._read_files(connection, journal)
            with sql_errors(self.query.text):
                translated = translate_on(self.query, relations)
                found = connection.sql(translated, params=used_values(translated, self.values))
                with journal.adding(anew=True) as file:
                    write_rows(file, rows_of(found))
            columns = found.columns
        sources = [str(path) for paths in self.files.values() for path in paths]
        return FetchedRows(columns, self._origin() | {"sources": sources, "size": self._size()} | files_read(journal))

    def _size(self) -> int:
        return sum(path.stat().st_size for paths in self.files.values() for path in paths)

    def _read_files(self, connection: duckdb.DuckDBPyConnection, journal: Journal) -> dict[str, str]:
        """Read the files of each table into parts. Returns DuckDB SQL for each table's parts, by the table's address."""
        relations = {}
        with progress_bar("read", self._size(), "B") as progress:
            for table in self.query.tables:
                where = pushed_down_predicate(self.query.text, table.address, table.columns, self.values)
                writer = PartWriter(connection, table, where, journal, progress.update)
                relations[table.address] = writer.read(self.files[table.name])
        return relations


def files_of_tables(query: Query, sources: Sequence[str]) -> dict[str, list[Path]]:
    """The files of each table, by the table's name.

    Raises SettingError naming a source or table without files, and DataError if the query's header lists no tables.
    """
    names = [table.name for table in query.tables]
    if not names:
        raise DataError(f"{query.path} has no `-- Tables:` at its top, which list the columns of its tables.")
    found: dict[str, list[Path]] = {name: [] for name in names}
    for source in sources:
        name, equals, pattern = source.partition("=")
        if not equals or name not in names:
            name, pattern = names[0], source
            if len(names) > 1:
                raise SettingError(f"--source is {source!r}, and should name its table: {names[0]}=… or {names[1]}=….")
        found[name] += [file for file in find_files([pattern], SUFFIXES) if file not in found[name]]
    if missing := [name for name, files in found.items() if not files]:
        raise SettingError(f"{query.name} reads {missing[0]} too: add --source {missing[0]}=….")
    return found


def check(connection: duckdb.DuckDBPyConnection, query: Query, values: Mapping[str, Value]) -> None:
    """Run the query on empty tables, to find what is wrong with it before a file is read. Raises SqlError."""
    relations = {table.address: empty_relation(table) for table in query.tables}
    with sql_errors(query.text):
        translated = translate_on(query, relations)
        if missing := sorted(named_parameters(translated) - set(values)):
            raise SqlError(f"Query parameter '{missing[0]}' not found", *position_of(f"@{missing[0]}", query.text))
        connection.execute(f"EXPLAIN {translated}", used_values(translated, values)).fetchall()


def translate_on(query: Query, relations: Mapping[str, str]) -> str:
    """The query in DuckDB SQL. `relations` have the DuckDB SQL that replaces each table, by its address. Raises SqlError."""

    def relation(address: str) -> str:
        if address not in relations:
            raise SqlError(f"`{address}` is not among the `-- Tables:` at the top of the file", 1, 1)
        return relations[address]

    return translate(query.text, relation)


def named_parameters(translated: str) -> set[str]:
    return set(re.findall(r"\$(\w+)", translated))


def used_values(translated: str, values: Mapping[str, Value]) -> dict[str, Value]:
    """The values that a statement uses: DuckDB refuses others."""
    named = named_parameters(translated)
    return {name: value for name, value in values.items() if name in named}
