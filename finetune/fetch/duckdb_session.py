"""DuckDB for fetch: opening it, results and errors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import duckdb

from app.errors import DataError
from finetune.fetch.googlesql.grammar import position_of
from finetune.fetch.query import SqlError

BATCH = 10_000
"""Rows of a result that are in memory at a time."""
LARGEST_ROW = 2**26
"""Bytes of a JSON line at most. Long conversations exceed DuckDB's default."""


def open_duckdb() -> duckdb.DuckDBPyConnection:
    """A DuckDB that, like BigQuery, counts time in UTC, with the functions that compiled GoogleSQL needs."""
    from finetune.fetch.googlesql.runtime import install

    connection = duckdb.connect()
    install(connection)
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def rows_of(found: duckdb.DuckDBPyRelation) -> Iterator[Mapping[str, Any]]:
    """The rows of a result as dictionaries, a batch at a time."""
    for batch in found.to_arrow_reader(BATCH):
        for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield dict(zip(batch.schema.names, values, strict=True))


@contextmanager
def sql_errors(sql: str) -> Iterator[None]:
    """Turn DuckDB's errors about translated SQL into SqlErrors about the GoogleSQL that it was translated from."""
    try:
        yield
    except (
        duckdb.BinderException,
        duckdb.CatalogException,
        duckdb.ParserException,
        duckdb.ConversionException,
    ) as error:
        text = str(error)
        name = re.search(r'column "(\w+)" not found', text)
        function = re.search(r"Function with name (\w+) does not exist", text)
        if name:
            raise SqlError(f"Unrecognized name: {name[1]}", *position_of(name[1], sql)) from None
        if function:
            line, column = position_of(function[1], sql)
            written = sql.splitlines()[line - 1][column - 1 :][: len(function[1])]
            raise SqlError(f"Function not found: {written}", line, column) from None
        raise SqlError(text.splitlines()[0], 1, 1) from None


@contextmanager
def interruptions() -> Iterator[None]:
    """Raise KeyboardInterrupt for Ctrl+C during a query, for which DuckDB raises a RuntimeError."""
    try:
        yield
    except RuntimeError as error:
        if str(error) != "Query interrupted":
            raise
        raise KeyboardInterrupt from None


@contextmanager
def runtime_errors(task: str, memory: str) -> Iterator[None]:
    """Turn DuckDB's errors about data and memory into DataErrors of one sentence. `task` names what was being done."""
    try:
        yield
    except duckdb.OutOfMemoryException:
        raise DataError(f"{task} needs more than {memory} of memory: raise --memory.") from None
    except duckdb.Error as error:
        message = str(error).splitlines()[0]
        if placed := re.search(r"line \d+, column \d+: .*", message):  # from compiled GoogleSQL
            raise DataError(f"{task}, {placed[0]}.") from None
        raise DataError(f"{task}: {message}") from None
