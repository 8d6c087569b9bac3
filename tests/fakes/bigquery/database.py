"""The data sets and tables of the fake BigQuery, in DuckDB: a schema for each data set."""

from __future__ import annotations

import threading
from typing import Any

from sqlglot import exp

from finetune.fetch.duckdb_session import open_duckdb
from tests.fakes.bigquery.errors import Refused
from tests.fakes.bigquery.translation import parse
from tests.fakes.bigquery.values import Row, cell, duckdb_type, schema_field, sql_type

LOCATION = "US"


class Database:
    """What the routes for jobs and for tables have in common."""

    def __init__(self) -> None:
        self.page_rows = 100_000
        """Rows of a page at most."""
        self._lock = threading.Lock()
        self._duckdb = open_duckdb()

    def load(self, table: str, rows: list[Row], schema: Row | None = None) -> None:
        """Create the table PROJECT.DATASET.TABLE. Without a schema, {column: GoogleSQL type}, the rows decide the types."""
        columns = schema or {name: sql_type(value) for row in rows for name, value in row.items() if value is not None}
        with self._lock:
            self.run_sql(f"CREATE SCHEMA IF NOT EXISTS {schema_of(table)}")
            listing = ", ".join(f'"{name}" {duckdb_type(kind)}' for name, kind in columns.items())
            self.run_sql(f"CREATE OR REPLACE TABLE {relation(table)} ({listing})")
            for row in rows:
                marks = ", ".join("?" for _ in columns)
                self.run_sql(f"INSERT INTO {relation(table)} VALUES ({marks})", [row.get(name) for name in columns])

    def rows(self, table: str) -> list[Row]:
        """All rows of a table."""
        with self._lock:
            rows: list[Row] = self._duckdb.sql(f"SELECT * FROM {relation(table)}").to_arrow_table().to_pylist()
            return rows

    def run_sql(self, sql: str, given: Any = None) -> list[tuple[Any, ...]]:
        """Run a statement to its end."""
        found: list[tuple[Any, ...]] = self._duckdb.execute(sql, given).fetchall()
        return found

    def select(self, sql: str, given: Row | None = None) -> tuple[list[Row], list[list[Any]]]:
        """Run a query. Returns the schema and the rows."""
        found = self._duckdb.sql(sql, params=given)
        schema = [schema_field(name, kind) for name, kind in zip(found.columns, found.types, strict=True)]
        columns = [column.to_pylist() for column in found.to_arrow_table().columns]
        for number, column in enumerate(schema):
            if column["mode"] == "REPEATED":  # No array is null there.
                columns[number] = [value or [] for value in columns[number]]
        return schema, [list(row) for row in zip(*columns, strict=True)]

    def names(self, dataset: str) -> list[str]:
        found = self.run_sql(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = ? ORDER BY 1", [dataset]
        )
        return [row[0] for row in found]

    def resolve(self, project: str, name: str) -> str:
        """The SQL for a table of the query, or 404."""
        parts = name.split(".")
        full = name if len(parts) > 2 else ".".join([project, *parts])
        dataset, _, table = full.rpartition(".")
        if table.endswith("*"):
            found = [t for t in self.names(dataset) if t.startswith(table[:-1])]
            if not found:
                raise Refused(404, "notFound", f"{colon(full)} does not match any table.", "query")
            selects = (
                f"SELECT *, '{t.removeprefix(table[:-1])}' AS _TABLE_SUFFIX FROM {relation(f'{dataset}.{t}')}"
                for t in found
            )
            return f"({' UNION ALL BY NAME '.join(selects)})"
        if table not in self.names(dataset):
            raise Refused(
                404, "notFound", f"Not found: Table {colon(full)} was not found in location {LOCATION}", "query"
            )
        return relation(full)

    def resolve_new(self, project: str, name: str) -> str:
        full = name if name.count(".") > 1 else f"{project}.{name}"
        self.dataset_or_404(full.rpartition(".")[0])
        return relation(full)

    def measure(self, sql: str, known: dict[str, str]) -> int:
        """The bytes of those columns of the query's tables whose names occur anywhere in the query."""
        tree = parse(sql)
        named = {column.name.lower() for column in tree.find_all(exp.Column)}
        everything = any(not isinstance(star.parent, exp.Count) for star in tree.find_all(exp.Star))
        total = 0
        for source in known.values():
            columns = self.run_sql(f"DESCRIBE SELECT * FROM {source}")
            for name, kind, *_ in columns:
                if name == "_TABLE_SUFFIX" or not (everything or name.lower() in named):
                    continue
                size = f'coalesce(sum(2 + strlen("{name}")), 0)' if kind == "VARCHAR" else "8 * count(*)"
                total += self.run_sql(f"SELECT {size} FROM {source}")[0][0]
        return int(total)

    def has_dataset(self, name: str) -> bool:
        found = self.run_sql("SELECT 1 FROM information_schema.schemata WHERE schema_name = ?", [name])
        return bool(found)

    def dataset_or_404(self, name: str) -> None:
        if not self.has_dataset(name):
            raise Refused(404, "notFound", f"Not found: Dataset {colon(name)}")

    def table_or_404(self, name: str) -> list[tuple[Any, ...]]:
        """A table's columns as DuckDB describes them."""
        dataset, _, table = name.rpartition(".")
        if table not in self.names(dataset):
            raise Refused(404, "notFound", f"Not found: Table {colon(name)}")
        described: list[tuple[Any, ...]] = self.run_sql(f"DESCRIBE {relation(name)}")
        return described

    def slice(self, rows: list[list[Any]], query: Row) -> Row:
        start = int(query.get("pageToken") or query.get("startIndex") or 0)
        end = min(start + min(int(query.get("maxResults", self.page_rows)), self.page_rows), len(rows))
        whole = str(query.get("formatOptions.useInt64Timestamp", "")).lower() == "true"
        page: Row = {"rows": [{"f": [{"v": cell(value, whole)} for value in row]} for row in rows[start:end]]}
        if end < len(rows):
            page["pageToken"] = str(end)
        return page


def schema_of(table: str) -> str:
    return f'"{table.rpartition(".")[0]}"'


def relation(table: str) -> str:
    """The name of PROJECT.DATASET.TABLE in DuckDB, which has a schema for each data set."""
    return f'{schema_of(table)}."{table.rpartition(".")[2]}"'


def colon(name: str) -> str:
    """As Google's messages write it: PROJECT:DATASET.TABLE."""
    return name.replace(".", ":", 1)
