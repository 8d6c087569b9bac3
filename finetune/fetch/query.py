"""A query: a .sql file in GoogleSQL whose header lists its parameters and tables.

    -- Which comments of a subreddit match a pattern?
    --
    -- Parameters:
    --   subreddit  STRING  'AmItheAsshole'  the subreddit
    -- Tables:
    --   comments  fh-bigquery.reddit_comments.20*  id STRING, body STRING
    -- Cost: …

A parameter has a name, a type, a default and a meaning. A table has a name, an address and the columns that the query reads.
The SQL has the address in backticks, so the file runs on BigQuery as it is. --param comments=ADDRESS replaces the table.
The queries that come with the project are in bq_queries/.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from app.errors import DataError, SettingError
from finetune.fetch.googlesql.string_literals import text_of_literal
from finetune.fetch.parameters import TYPES, Parameter, Value, parse_value

PARAMETER = re.compile(r"--   (\w+)\s+(STRING|INT64|FLOAT64|BOOL)\s+(r?'[^']*'|\S+)\s+(\S.*)")
TABLE = re.compile(r"--   (\w+)\s+([\w.*-]+)\s+(\w+ \w+(?:, \w+ \w+)*)")
ADDRESS = re.compile(r"[\w-]+(\.[\w-]+){1,2}\*?")


class SqlError(DataError):
    """A query that cannot run. `line` and `column` count from 1, in the query's file."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class Table(NamedTuple):
    """A table that a query reads. `columns` are those that the query uses, with their GoogleSQL types."""

    name: str
    address: str
    columns: Mapping[str, str]


@dataclass(frozen=True)
class Query:
    """A query: the text of its file, and what the header says. `name` is that of the file, without .sql."""

    name: str
    path: Path
    text: str
    parameters: Sequence[Parameter]
    tables: Sequence[Table]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def sql(self, addresses: Mapping[str, str]) -> str:
        """The SQL, with the same lines as the file. `addresses` replace those of the tables with these names."""
        text = self.text
        for table in self.tables:
            text = text.replace(f"`{table.address}`", f"`{addresses.get(table.name, table.address)}`")
        return text

    def origin(self, engine: str, values: Mapping[str, Value]) -> dict[str, Any]:
        """What the manifest says of rows that this query returned, with the values of its parameters."""
        return {"query": self.name, "query_sha256": self.sha256, "engine": engine, "parameters": values}

    @contextmanager
    def positioned_errors(self) -> Iterator[None]:
        """Turn SqlErrors into DataErrors that name the file, the line and the column."""
        try:
            yield
        except SqlError as error:
            raise DataError(f"{self.path}, line {error.line}, column {error.column}: {error}.") from None


def queries_folder() -> Path:
    """bq_queries/, relative to the working directory, as messages show it."""
    return Path(os.path.relpath(Path(__file__).parents[2] / "bq_queries"))


def query_names() -> list[str]:
    return sorted(path.stem for path in queries_folder().glob("*.sql"))


def read_query(name: str) -> Query:
    """A query of bq_queries/ by its name, or any .sql file by its path. Raises SettingError or DataError."""
    path = Path(name) if name.endswith(".sql") else queries_folder() / f"{name}.sql"
    if not path.is_file():
        raise SettingError(f"{name} is no query: name a .sql file, or one of {', '.join(query_names())}.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path} is not utf-8: convert it.") from None
    parameters: list[Parameter] = []
    tables: list[Table] = []
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.startswith("--"):
            break
        if not line.startswith("--   "):
            section = line
        elif section == "-- Parameters:":
            parameters.append(read_parameter(path, number, line))
        elif section == "-- Tables:":
            tables.append(read_table(path, number, line, text))
    names = [parameter.name for parameter in parameters] + [table.name for table in tables]
    if double := next((name for name in names if names.count(name) > 1), None):
        raise DataError(f"{path} describes {double} twice at its top.")
    return Query(path.stem, path, text, parameters, tables)


def read_parameter(path: Path, number: int, line: str) -> Parameter:
    if not (found := PARAMETER.fullmatch(line)):
        raise DataError(f"{path}, line {number}: should be `--   name  {'|'.join(TYPES)}  default  meaning`.")
    name, kind, literal, meaning = found.groups()
    try:
        text = text_of_literal(literal) if literal.endswith("'") else literal
    except ValueError as error:
        raise DataError(f"{path}, line {number}: {error}.") from None
    default = parse_value(kind, text)
    if default is None:
        raise DataError(f"{path}, line {number}: the default of {name} is {literal}, and should be {TYPES[kind]}.")
    return Parameter(name, kind, default, meaning)


def read_table(path: Path, number: int, line: str, text: str) -> Table:
    if not (found := TABLE.fullmatch(line)):
        raise DataError(f"{path}, line {number}: should be `--   name  project.dataset.table  column TYPE, …`.")
    name, address, columns = found.groups()
    if f"`{address}`" not in text:
        raise DataError(f"{path}, line {number}: the query never reads `{address}`, in backticks.")
    return Table(name, address, dict(column.split(" ") for column in columns.split(", ")))


def split_tables(query: Query, given: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The --param that set parameters, and the addresses given for tables, by the tables' names. Raises SettingError."""
    tables = {table.name: table for table in query.tables}
    parameters, addresses = [], {}
    for pair in given:
        name, _, text = pair.partition("=")
        if name in tables:
            check_address(query, tables[name], text)
            addresses[name] = text
        else:
            parameters.append(pair)
    return parameters, addresses


def check_address(query: Query, table: Table, address: str) -> None:
    if not ADDRESS.fullmatch(address):
        raise SettingError(f"--param {table.name} is {address!r}, and should be a table: project.dataset.table.")
    pattern = wildcard(table.address)
    if table.address.endswith("*") and not address.endswith(pattern):
        raise SettingError(
            f"--param {table.name} is {address!r}, and should end in {pattern}: "
            f"{query.name} chooses among monthly tables such as {table.address}."
        )


def wildcard(address: str) -> str:
    """The last part of a wildcard table's address: 20* of project.dataset.20* or project.dataset.comments_20*."""
    return re.split(r"[._]", address)[-1]
