"""Data sets, tables, and the rows that are streamed into them."""

from __future__ import annotations

from typing import Any

import duckdb

from tests.fakes.bigquery.database import LOCATION, Database, colon, relation
from tests.fakes.bigquery.errors import Refused
from tests.fakes.bigquery.values import FROM_DUCKDB, Row, column_of, taken


class Tables(Database):
    """The routes for data sets and tables."""

    def __init__(self) -> None:
        super().__init__()
        self._inserted: set[tuple[str, str]] = set()

    def insert_dataset(self, project: str, query: Row, body: Row) -> Row:
        name = f"{project}.{body['datasetReference']['datasetId']}"
        if self.has_dataset(name):
            raise Refused(409, "duplicate", f"Already Exists: Dataset {colon(name)}")
        self.run_sql(f'CREATE SCHEMA "{name}"')
        return self.get_dataset(project, body["datasetReference"]["datasetId"], query, None)

    def get_dataset(self, project: str, dataset: str, query: Row, body: Any) -> Row:
        self.dataset_or_404(f"{project}.{dataset}")
        return {
            "kind": "bigquery#dataset",
            "id": f"{project}:{dataset}",
            "datasetReference": {"projectId": project, "datasetId": dataset},
            "location": LOCATION,
        }

    def insert_table(self, project: str, dataset: str, query: Row, body: Row) -> Row:
        self.dataset_or_404(f"{project}.{dataset}")
        table = body["tableReference"]["tableId"]
        if table in self.names(f"{project}.{dataset}"):
            raise Refused(409, "duplicate", f"Already Exists: Table {project}:{dataset}.{table}")
        columns = ", ".join(column_of(column) for column in body["schema"]["fields"])
        self.run_sql(f"CREATE TABLE {relation(f'{project}.{dataset}.{table}')} ({columns})")
        return self.get_table(project, dataset, table, query, None)

    def get_table(self, project: str, dataset: str, table: str, query: Row, body: Any) -> Row:
        name = f"{project}.{dataset}.{table}"
        required = {column[0] for column in self.table_or_404(name) if column[2] == "NO"}
        fields, _ = self.select(f"SELECT * FROM {relation(name)} LIMIT 0")
        for column in fields:
            column["mode"] = "REQUIRED" if column["name"] in required else column["mode"]
        count = self.run_sql(f"SELECT count(*) FROM {relation(name)}")[0][0]
        return {
            "kind": "bigquery#table",
            "id": f"{project}:{dataset}.{table}",
            "tableReference": {"projectId": project, "datasetId": dataset, "tableId": table},
            "schema": {"fields": fields},
            "type": "TABLE",
            "location": LOCATION,
            "numRows": str(count),
        }

    def delete_table(self, project: str, dataset: str, table: str, query: Row, body: Any) -> Row:
        self.table_or_404(f"{project}.{dataset}.{table}")
        self.run_sql(f"DROP TABLE {relation(f'{project}.{dataset}.{table}')}")
        return {}

    def list_tables(self, project: str, dataset: str, query: Row, body: Any) -> Row:
        self.dataset_or_404(f"{project}.{dataset}")
        names = self.names(f"{project}.{dataset}")
        listed = [{"tableReference": {"projectId": project, "datasetId": dataset, "tableId": name}} for name in names]
        return {"kind": "bigquery#tableList", "tables": listed, "totalItems": len(names)}

    def table_data(self, project: str, dataset: str, table: str, query: Row, body: Any) -> Row:
        self.table_or_404(f"{project}.{dataset}.{table}")
        _, rows = self.select(f"SELECT * FROM {relation(f'{project}.{dataset}.{table}')}")
        return {"totalRows": str(len(rows))} | self.slice(rows, query)

    def insert_all(self, project: str, dataset: str, table: str, query: Row, body: Row) -> Row:
        """tabledata.insertAll: a wrong row stops all others, and a row with a known insert id is not inserted again."""
        name = f"{project}.{dataset}.{table}"
        columns = {column[0]: column for column in self.table_or_404(name)}
        wrong = {n: error for n, row in enumerate(body["rows"]) if (error := self.wrong_row(row["json"], columns))}
        if wrong and not body.get("skipInvalidRows"):
            stopped = {"reason": "stopped", "location": "", "debugInfo": "", "message": ""}
            errors = [{"index": n, "errors": [wrong.get(n, stopped)]} for n in range(len(body["rows"]))]
            return {"kind": "bigquery#tableDataInsertAllResponse", "insertErrors": errors}
        for number, row in enumerate(body["rows"]):
            seen = (name, row.get("insertId"))
            if number in wrong or (seen[1] is not None and seen in self._inserted):
                continue
            if seen[1] is not None:
                self._inserted.add(seen)
            names, marks = ", ".join(f'"{n}"' for n in row["json"]), ", ".join("?" for _ in row["json"])
            self.run_sql(
                f"INSERT INTO {relation(name)} ({names}) VALUES ({marks})",
                [taken(v, columns[n][1]) for n, v in row["json"].items()],
            )
        answer: Row = {"kind": "bigquery#tableDataInsertAllResponse"}
        if wrong:
            answer["insertErrors"] = [{"index": n, "errors": [error]} for n, error in wrong.items()]
        return answer

    def wrong_row(self, row: Row, columns: dict[str, tuple[Any, ...]]) -> Row | None:
        def error(location: str, message: str) -> Row:
            return {"reason": "invalid", "location": location, "debugInfo": "", "message": message}

        for name, value in row.items():
            if name not in columns:
                return error(name, f"no such field: {name}.")
            try:
                self.run_sql(f"SELECT CAST(? AS {columns[name][1]}) IS NULL", [taken(value, columns[name][1])])
            except duckdb.Error:
                return error(name, f"Cannot convert value to {FROM_DUCKDB.get(columns[name][1].lower(), 'its type')}.")
        for name, column in columns.items():
            if column[2] == "NO" and row.get(name) is None:
                return error(name, f"Missing required field: {name}.")
        return None
