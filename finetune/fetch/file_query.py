"""A query on files: SQL for BigQuery, run by DuckDB on files that may be larger than memory.

First table_parts.py keeps the columns and rows of each file that the query can use. Then the query runs on these parts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb

from app.errors import DataError, SettingError
from finetune.data.input_files import InputFile, printable
from finetune.fetch.duckdb_session import open_duckdb, rows_of, runtime_errors, sql_errors
from finetune.fetch.googlesql.queries import CompiledQuery, compiled
from finetune.fetch.googlesql.scopes import Column, Relation
from finetune.fetch.googlesql.sql_types import FLOAT64, STRING, SqlType, identifier, string_literal
from finetune.fetch.journal import Journal, write_rows
from finetune.fetch.parameters import Value, bind
from finetune.fetch.predicate_pushdown import pushed_down_predicate
from finetune.fetch.query import Query, Table
from finetune.fetch.row_source import FetchedRows, stamps
from finetune.fetch.source_files import SourceText
from finetune.fetch.table_parts import DUCKDB_TYPES, PartWriter, empty_relation, files_read
from finetune.progress_bar import progress_bar


class FileQueryRows:
    """A RowSource: the rows of a query on local files."""

    def __init__(
        self, query: Query, sources: Sequence[str], param: Sequence[str], memory: str, encoding: str = "utf-8"
    ) -> None:
        """`memory` is what DuckDB may use before it spills to disk, such as 1GB. Raises SettingError or DataError."""
        self.query, self.memory, self.encoding = query, memory, encoding
        check_types(query)
        self.values = bind(query.name, query.parameters, param)
        self.files = files_of_tables(query, sources, encoding)

    def request(self) -> dict[str, Any]:
        files = [(name, stamps(paths_in(files))) for name, files in self.files.items()]
        return self._origin() | {"files": files, "encoding": self.encoding}

    def _origin(self) -> dict[str, Any]:
        return self.query.origin("duckdb", self.values)

    def expected_columns(self) -> Collection[str]:
        with self.query.positioned_errors():
            relations = {table.address: empty_relation(table) for table in self.query.tables}
            return [column.name for column in compiled_on(self.query, relations, self.values).columns]

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
            found = compiled_on(self.query, self._read_files(connection, journal), self.values)
            with sql_errors(self.query.text):
                rows = rows_of(connection.sql(found.sql, params=found.values or None))
                with journal.adding(anew=True) as file:
                    write_rows(file, returned_rows(rows, found.columns))
            columns = [column.name for column in found.columns]
        sources = [printable(str(file)) for files in self.files.values() for file in files]
        return FetchedRows(columns, self._origin() | {"sources": sources, "size": self._size()} | files_read(journal))

    def _size(self) -> int:
        return sum(path.stat().st_size for files in self.files.values() for path in paths_in(files))

    def _read_files(self, connection: duckdb.DuckDBPyConnection, journal: Journal) -> dict[str, str]:
        """Read the files of each table into parts. Returns DuckDB SQL for each table's parts, by the table's address."""
        relations = {}
        with progress_bar("read", self._size(), "B") as progress:
            for table in self.query.tables:
                where = pushed_down_predicate(self.query.text, table.address, table.columns, self.values)
                writer = PartWriter(connection, table, where, journal, progress.update, self.encoding)
                relations[table.address] = writer.read(self.files[table.name])
        return relations


def paths_in(files: Sequence[InputFile]) -> list[Path]:
    """The files on disk, each once: a .zip holds several."""
    return list(dict.fromkeys(file.path for file in files))


def check_types(query: Query) -> None:
    """Raises DataError for a column of a type that is not read from files."""
    for table in query.tables:
        for name, kind in table.columns.items():
            if kind not in DUCKDB_TYPES:
                raise DataError(
                    f"{query.path}: {table.name}.{name} is {kind}, and should be one of {', '.join(DUCKDB_TYPES)}."
                )


def files_of_tables(query: Query, sources: Sequence[str], encoding: str) -> dict[str, list[InputFile]]:
    """The files of each table, by the table's name.

    Raises SettingError naming a source or table without files, and DataError if the query's header lists no tables.
    """
    names = [table.name for table in query.tables]
    if not names:
        raise DataError(f"{query.path} has no `-- Tables:` at its top, which list the columns of its tables.")
    found: dict[str, list[InputFile]] = {name: [] for name in names}
    for source in sources:
        name, equals, pattern = source.partition("=")
        if not equals or name not in names:
            name, pattern = names[0], source
            if len(names) > 1:
                raise SettingError(f"--source is {source!r}, and should name its table: {names[0]}=… or {names[1]}=….")
        files = SourceText([pattern], encoding).files("jsonl", "table", "parquet")
        found[name] += [file for file in files if file not in found[name]]
    if missing := [name for name, files in found.items() if not files]:
        raise SettingError(f"{query.name} reads {missing[0]} too: add --source {missing[0]}=….")
    return found


def compiled_on(query: Query, relations: Mapping[str, str], values: Mapping[str, Value]) -> CompiledQuery:
    """The query in DuckDB SQL. `relations` have the DuckDB SQL that replaces each table, by its address. Raises SqlError."""
    tables = {table.address: relation_of(table, relations[table.address]) for table in query.tables}
    return compiled(query.text, tables, values)


def check(connection: duckdb.DuckDBPyConnection, query: Query, values: Mapping[str, Value]) -> None:
    """Run the query on empty tables, to find what is wrong with it before a file is read. Raises SqlError."""
    found = compiled_on(query, {table.address: empty_relation(table) for table in query.tables}, values)
    with sql_errors(query.text):
        connection.execute(f"EXPLAIN {found.sql}", found.values).fetchall()


def relation_of(table: Table, sql: str) -> Relation:
    """A table as queries see it. A wildcard table has _TABLE_SUFFIX, which is not part of *."""
    columns = [Column(name, "", SqlType(kind)) for name, kind in table.columns.items()]
    if any(column.type == FLOAT64 for column in columns):
        sql = f"(SELECT * REPLACE ({', '.join(map(finite, columns))}) FROM {sql})"
    suffix = [Column("_TABLE_SUFFIX", "", STRING, hidden=True)] if table.address.endswith("*") else []
    return Relation(sql, [*columns, *suffix])


def finite(column: Column) -> str:
    """A column, without numbers that DuckDB compares otherwise than BigQuery: one that is infinite or NaN is an error."""
    name = identifier(column.name)
    if column.type != FLOAT64:
        return f"{name} AS {name}"
    error = string_literal(f"{column.name} has a number that is infinite or NaN")
    return f"CASE WHEN isfinite({name}) = FALSE THEN error({error}) ELSE {name} END AS {name}"


def returned(value: Any, kind: SqlType, name: str) -> Any:
    """A value as BigQuery returns it: an array is never NULL, and has no NULL in it. Raises DataError."""
    if kind.name == "ARRAY":
        if None in (value or []):
            raise DataError(
                f"{name} is an array with a NULL in it, which BigQuery does not return: leave NULLs out, "
                "for example with ARRAY_AGG(… IGNORE NULLS)."
            )
        return [returned(each, kind.element, name) for each in value or []]
    if kind.name == "STRUCT" and value is not None:
        return {own: returned(value[own], field, f"{name}.{own}") for own, field in kind.fields}
    return value


def returned_rows(rows: Iterator[Mapping[str, Any]], columns: Sequence[Column]) -> Iterator[Mapping[str, Any]]:
    """Rows with their arrays as BigQuery returns them. Raises DataError."""
    nested = [column for column in columns if not column.type.is_scalar]
    if not nested:
        return rows
    return ({**row, **{each.name: returned(row[each.name], each.type, each.name) for each in nested}} for row in rows)
