"""A query: a file of bq_queries/ or one of your own, GoogleSQL that says at its top what it asks for and what it takes.

    -- Which comments of a subreddit match a pattern?
    --
    -- Parameters:
    --   subreddit  STRING  'AmItheAsshole'  the subreddit
    -- Tables:
    --   comments  fh-bigquery.reddit_comments.20*  id STRING, body STRING
    -- Cost: …

Each parameter has a type and a default; a table has the columns that the query reads of it. The SQL below has the default
table in backticks, so that the file is GoogleSQL as it stands; another table, named by a parameter of the table's name,
takes its place.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from app.errors import DataError, SettingError

FOLDER = Path(os.path.relpath(Path(__file__).parent.parent.parent / "bq_queries"))
Value = str | int | float | bool
PARAMETER = re.compile(r"--   (\w+)\s+(STRING|INT64|FLOAT64|BOOL)\s+(r?'[^']*'|\S+)\s+(\S.*)")
TABLE = re.compile(r"--   (\w+)\s+([\w.*-]+)\s+(\w+ \w+(?:, \w+ \w+)*)")
ADDRESS = re.compile(r"[\w-]+(\.[\w-]+){1,2}\*?")
KINDS = {"STRING": "text", "INT64": "a whole number", "FLOAT64": "a number", "BOOL": "true or false"}


class SqlError(DataError):
    """A query that cannot run. `line` and `column` count from 1, in the query as it was given."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class Parameter(NamedTuple):
    """What can be said with --param name=value. `kind` is a type of GoogleSQL."""

    name: str
    kind: str
    default: Value | None
    meaning: str


class Table(NamedTuple):
    """A table that a query reads: its name in the query's header, where it is, the columns read with their types."""

    name: str
    address: str
    columns: Mapping[str, str]


@dataclass(frozen=True)
class Query:
    name: str
    path: Path
    text: str
    parameters: Sequence[Parameter]
    tables: Sequence[Table]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def sql(self, tables: Mapping[str, str]) -> str:
        """The SQL, line for line as in the file, on these tables where they are given."""
        text = self.text
        for table in self.tables:
            text = text.replace(f"`{table.address}`", f"`{tables.get(table.name, table.address)}`")
        return text


def query_names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.sql"))


def read_query(name: str) -> Query:
    """A query of bq_queries/ by its name, or any .sql file by its path. Raises SettingError or DataError."""
    path = Path(name) if name.endswith(".sql") else FOLDER / f"{name}.sql"
    if not path.is_file():
        raise SettingError(f"{name} is no query: name a .sql file, or one of {', '.join(query_names())}.")
    try:
        text = path.read_text(encoding="utf-8")
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
    return Query(path.stem, path, text, parameters, tables)


def read_parameter(path: Path, number: int, line: str) -> Parameter:
    if not (found := PARAMETER.fullmatch(line)):
        raise DataError(f"{path}, line {number}: should be `--   name  {'|'.join(KINDS)}  default  meaning`.")
    name, kind, default, meaning = found.groups()
    literal = default.removeprefix("r").strip("'") if default.endswith("'") else default
    return Parameter(name, kind, convert(name, kind, literal), meaning)


def read_table(path: Path, number: int, line: str, text: str) -> Table:
    if not (found := TABLE.fullmatch(line)):
        raise DataError(f"{path}, line {number}: should be `--   name  project.dataset.table  column TYPE, …`.")
    name, address, columns = found.groups()
    if f"`{address}`" not in text:
        raise DataError(f"{path}, line {number}: the query never reads `{address}`, in backticks.")
    return Table(name, address, dict(column.split(" ") for column in columns.split(", ")))


def convert(name: str, kind: str, text: str) -> Value:
    """A value as it is written on the command line."""
    try:
        match kind:
            case "INT64":
                return int(text)
            case "FLOAT64":
                number = float(text)
                if math.isfinite(number):
                    return number
            case "BOOL":
                return {"true": True, "false": False}[text.lower()]
            case _:
                return text
    except (ValueError, KeyError):
        pass
    raise SettingError(f"--param {name} is {text!r}, and should be {KINDS[kind]}.")


def bind(what: str, parameters: Sequence[Parameter], given: Sequence[str]) -> dict[str, Value]:
    """The value of each parameter: as given in name=value, or its default. Raises SettingError naming the parameter."""
    known = {parameter.name: parameter for parameter in parameters}
    values: dict[str, Value] = {}
    for pair in given:
        name, equals, text = pair.partition("=")
        if not equals:
            raise SettingError(f"--param is {pair!r}, and should be name=value.")
        if name not in known:
            raise SettingError(f"{what} has no parameter {name!r}; it has {', '.join(known) or 'none'}.")
        if name in values:
            raise SettingError(f"--param {name} is given twice.")
        values[name] = convert(name, known[name].kind, text)
    for name, parameter in known.items():
        if name not in values and parameter.default is None:
            raise SettingError(f"{what} needs --param {name}=…: {parameter.meaning}.")
    return {name: values.get(name, parameter.default) for name, parameter in known.items()}  # type: ignore[misc]


def split_tables(query: Query, given: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The --param that are values, and those that name another table."""
    names = {table.name: table for table in query.tables}
    values, tables = [], {}
    for pair in given:
        name, _, text = pair.partition("=")
        if name not in names:
            values.append(pair)
            continue
        if not ADDRESS.fullmatch(text):
            raise SettingError(f"--param {name} is {text!r}, and should be a table: project.dataset.table.")
        usual = names[name].address
        if usual.endswith("*") and not text.endswith(wildcard(usual)):
            raise SettingError(
                f"--param {name} is {text!r}, and should end in {wildcard(usual)}: "
                f"{query.name} chooses among tables such as {usual}."
            )
        tables[name] = text
    return values, tables


def wildcard(address: str) -> str:
    """What the wildcard stands behind: 20* of project.dataset.20*."""
    return re.split(r"[._]", address)[-1]
