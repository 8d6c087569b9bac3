"""A BigQuery of our own on loopback: the REST API that google-cloud-bigquery speaks, on GoogleSQL run by DuckDB.

    with bigquery() as fake:
        fake.load("project.dataset.table", [{"id": 1, "body": "Yes."}])
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", fake.address)      # the client's own variable

Jobs (dry runs, limits on bytes, pages, cancelling, EXPORT DATA), queries, tables, data sets, insertAll with row errors and
insert ids. What goes wrong has Google's shape: an error with its reason, and for SQL the line and column. `failures` makes
requests fail on purpose; `requests` is what came in. A request or a type it does not know is a 501, never a guess.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import uvicorn
from sqlglot import exp
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from finetune.fetch.googlesql import connect, located, parse, position, tables, translate
from finetune.fetch.query import SqlError

Row = dict[str, Any]
LOCATION = "US"
LEAST_BILLED = 10 * 2**20
"""What BigQuery bills for each table at least."""
TO_DUCKDB = {
    "STRING": "VARCHAR", "INTEGER": "BIGINT", "INT64": "BIGINT", "FLOAT": "DOUBLE", "FLOAT64": "DOUBLE", "JSON": "JSON",
    "BOOLEAN": "BOOLEAN", "BOOL": "BOOLEAN", "TIMESTAMP": "TIMESTAMP WITH TIME ZONE", "DATE": "DATE",
    "DATETIME": "TIMESTAMP", "BYTES": "BLOB", "NUMERIC": "DECIMAL(38, 9)",
}  # fmt: skip
FROM_DUCKDB = {
    "varchar": "STRING", "bigint": "INTEGER", "integer": "INTEGER", "smallint": "INTEGER", "tinyint": "INTEGER",
    "hugeint": "INTEGER", "ubigint": "INTEGER", "uinteger": "INTEGER", "double": "FLOAT", "float": "FLOAT",
    "boolean": "BOOLEAN", "timestamp with time zone": "TIMESTAMP", "date": "DATE", "timestamp": "DATETIME",
    "blob": "BYTES", "decimal": "NUMERIC",
}  # fmt: skip
STATUS = {"invalidQuery": 400, "invalid": 400, "notFound": 404, "duplicate": 409, "accessDenied": 403, "stopped": 400}


class Refused(Exception):
    """An answer other than 200, in Google's shape."""

    def __init__(self, status: int, reason: str, message: str, location: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.error: dict[str, Any] = {"message": message, "domain": "global", "reason": reason}
        if location is not None:
            self.error |= {"location": location, "locationType": "parameter"}

    def body(self) -> dict[str, Any]:
        return {"error": {"code": self.status, "message": self.error["message"], "errors": [self.error]}}


@dataclass
class Failure:
    """Requests that match, and fail. With `done` they take effect before they fail, as when an answer is lost."""

    match: str
    """A regular expression, searched in "METHOD /path"."""
    status: int = 503
    reason: str = "backendError"
    message: str = "The service is currently unavailable."
    times: int = 1
    after: int = 0
    """So many that match go well before."""
    done: bool = False


@dataclass
class Job:
    number: str
    configuration: Row
    schema: list[Row] = field(default_factory=list)
    rows: list[list[Any]] = field(default_factory=list)
    statistics: Row = field(default_factory=dict)
    error: Row | None = None
    affected: int | None = None


class BigQuery:
    """The fake. Everything public is for tests to set, fill and look at."""

    def __init__(self, bucket: Path | None = None) -> None:
        self.address = ""
        self.requests: list[tuple[str, str, Any]] = []
        """(method, path below /bigquery/v2, body) of each request."""
        self.failures: list[Failure] = []
        self.page_rows = 100_000
        """Rows of a page at most."""
        self.bytes_processed: int | None = None
        """What queries say they read; None measures the columns they name."""
        self.bucket = bucket
        """The folder that stands for gs://, for EXPORT DATA."""
        self.jobs: dict[str, Job] = {}
        self._inserted: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._duckdb = connect()

    # What a test does.

    def load(self, table: str, rows: list[Row], schema: Row | None = None) -> None:
        """Make a table, PROJECT.DATASET.TABLE, of rows. The schema, {column: GoogleSQL type}, may be left to the rows."""
        columns = schema or {name: sql_type(value) for row in rows for name, value in row.items() if value is not None}
        with self._lock:
            self.run_sql(f"CREATE SCHEMA IF NOT EXISTS {schema_of(table)}")
            listing = ", ".join(f'"{name}" {duckdb_type(kind)}' for name, kind in columns.items())
            self.run_sql(f"CREATE OR REPLACE TABLE {relation(table)} ({listing})")
            for row in rows:
                marks = ", ".join("?" for _ in columns)
                self.run_sql(f"INSERT INTO {relation(table)} VALUES ({marks})", [row.get(name) for name in columns])

    def rows(self, table: str) -> list[Row]:
        """All that is in a table."""
        with self._lock:
            rows: list[Row] = self._duckdb.sql(f"SELECT * FROM {relation(table)}").to_arrow_table().to_pylist()
            return rows

    def called(self, match: str) -> int:
        """How many requests "METHOD /path" match."""
        return sum(bool(re.search(match, f"{method} {path}")) for method, path, _ in self.requests)

    @property
    def billed(self) -> int:
        """Bytes billed for all jobs that ran."""
        return sum(int(job.statistics.get("query", {}).get("totalBytesBilled", 0)) for job in self.jobs.values())

    # The API.

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Row:
        self.requests.append((method, path, body))
        failure = next((f for f in self.failures if f.times and re.search(f.match, f"{method} {path}")), None)
        if failure and failure.after:
            failure.after -= 1
        elif failure:
            failure.times -= 1
            if failure.done:
                self.route(method, path, query, body)
            raise Refused(failure.status, failure.reason, failure.message)
        return self.route(method, path, query, body)

    def route(self, method: str, path: str, query: dict[str, str], body: Any) -> Row:
        for verb, pattern, handler in ROUTES:
            if verb == method and (match := re.fullmatch(pattern, path)):
                with self._lock:
                    answer: Row = handler(self, *match.groups(), query, body)
                    return answer
        raise Refused(501, "notImplemented", f"The fake has no {method} {path}.")

    def insert_job(self, project: str, query: Row, body: Row) -> Row:
        configuration = body["configuration"]
        if "query" not in configuration:
            raise Refused(501, "notImplemented", f"The fake runs no job of {list(configuration)}.")
        number = body.get("jobReference", {}).get("jobId") or str(uuid.uuid4())
        if number in self.jobs:
            raise Refused(409, "duplicate", f"Already Exists: Job {project}:{LOCATION}.{number}")
        job = Job(number, configuration)
        self.run(project, job, dry=bool(configuration.get("dryRun")))
        if configuration.get("dryRun"):
            return self.describe(project, job)
        self.jobs[number] = job
        return self.describe(project, job)

    def run(self, project: str, job: Job, dry: bool) -> None:
        """Run a query. What is wrong with it fails a dry run at once, and else the job."""
        try:
            self.execute(project, job, dry)
        except Refused as refused:
            if dry:
                raise
            job.error = {key: refused.error[key] for key in ("reason", "message", "location") if key in refused.error}
            job.rows = []

    def execute(self, project: str, job: Job, dry: bool) -> None:
        asked = job.configuration["query"]
        if asked.get("useLegacySql", True):
            raise Refused(400, "invalidQuery", "The fake speaks GoogleSQL only: useLegacySql should be false.", "query")
        sql = asked["query"]
        with refused_as_google(sql):
            tree = parse(sql)
            export = tree if isinstance(tree, exp.Export) else None
            inner = sql if export is None else export.this.sql(dialect="bigquery")
            made = isinstance(tree, exp.Create)
            resolve = self.resolve_new if made else self.resolve
            known = {name: resolve(project, name) for _, name in tables(parse(inner))}
            translated = translate(inner, known.__getitem__)
        read = self.measure(inner, known) if self.bytes_processed is None else self.bytes_processed
        billed = max(LEAST_BILLED * len(known), math.ceil(read / 2**20) * 2**20)
        limit = asked.get("maximumBytesBilled")
        job.statistics = {
            "totalBytesProcessed": str(read),
            "query": {
                "totalBytesProcessed": str(read),
                "totalBytesBilled": "0" if dry else str(billed),
                "cacheHit": False,
                "statementType": "EXPORT_DATA" if export else tree.key.upper(),
                "referencedTables": [reference(project, name) for name in known],
            },
        }
        values = parameters(asked.get("queryParameters", []))
        wanted = set(re.findall(r"\$(\w+)", translated))
        with refused_as_google(sql):
            if missing := wanted - set(values):
                name = min(missing)
                raise SqlError(f"Query parameter '{name}' not found", *position(sql, f"@{name}"))
            given = {name: values[name] for name in wanted}
            if dry:
                self.run_sql(f"EXPLAIN {translated}", given)
                return
            if limit is not None and billed > int(limit):
                job.statistics["query"]["totalBytesBilled"] = "0"
                message = f"Query exceeded limit for bytes billed: {limit}. {billed} or higher required."
                raise Refused(400, "bytesBilledLimitExceeded", message)
            if isinstance(tree, exp.Insert | exp.Update | exp.Delete | exp.Merge):
                job.affected = self.run_sql(translated, given)[0][0]
                job.statistics["query"]["numDmlAffectedRows"] = str(job.affected)
            elif made:
                self.run_sql(translated, given)
            else:
                job.schema, job.rows = self.select(translated, given)
        if export:
            self.export(export, job)

    def run_sql(self, sql: str, given: Any = None) -> list[tuple[Any, ...]]:
        """Run a statement to its end."""
        found: list[tuple[Any, ...]] = self._duckdb.execute(sql, given).fetchall()
        return found

    def select(self, sql: str, given: Row | None = None) -> tuple[list[Row], list[list[Any]]]:
        """What DuckDB finds: the schema and the rows."""
        found = self._duckdb.sql(sql, params=given)
        schema = [schema_field(name, kind) for name, kind in zip(found.columns, found.types, strict=True)]
        columns = [column.to_pylist() for column in found.to_arrow_table().columns]
        for number, column in enumerate(schema):
            if column["mode"] == "REPEATED":  # No array is null there.
                columns[number] = [value or [] for value in columns[number]]
        return schema, [list(row) for row in zip(*columns, strict=True)]

    def export(self, tree: exp.Export, job: Job) -> None:
        options: dict[str, str] = {}
        for one in tree.args["options"].expressions:
            what = "format" if isinstance(one, exp.FileFormatProperty) else one.name.lower()
            options[what] = one.name if what == "format" else one.args["value"].name
        if self.bucket is None or options.get("format", "").upper() != "JSON":
            raise Refused(501, "notImplemented", f"The fake exports JSON to its bucket, and not {options}.")
        if options["uri"].count("*") != 1:
            raise Refused(400, "invalidQuery", "Option 'uri' value must be a wild card URI.", "query")
        path = self.bucket / options["uri"].removeprefix("gs://").replace("*", "000000000000")
        path.parent.mkdir(parents=True, exist_ok=True)
        names = [column["name"] for column in job.schema]
        path.write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in job.rows), "utf-8")
        job.schema, job.rows = [], []

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

    def names(self, dataset: str) -> list[str]:
        found = self.run_sql(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = ? ORDER BY 1", [dataset]
        )
        return [row[0] for row in found]

    def measure(self, sql: str, known: dict[str, str]) -> int:
        """The bytes of the columns that are named anywhere in the query, of all its tables."""
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

    def describe(self, project: str, job: Job) -> Row:
        status: Row = {"state": "DONE"}
        if job.error:
            status |= {"errorResult": job.error, "errors": [job.error]}
        now = str(int(time.time() * 1000))
        statistics: Row = {"creationTime": now, "startTime": now, "endTime": now} | job.statistics
        if job.configuration.get("dryRun"):
            statistics["query"] = statistics["query"] | {"schema": {"fields": job.schema}}
        there = {"projectId": project, "datasetId": "_results", "tableId": job.number}
        return {
            "kind": "bigquery#job",
            "id": f"{project}:{LOCATION}.{job.number}",
            "jobReference": {"projectId": project, "jobId": job.number, "location": LOCATION},
            "configuration": job.configuration
            | {"jobType": "QUERY", "query": {"destinationTable": there} | job.configuration["query"]},
            "status": status,
            "statistics": statistics,
        }

    def job(self, number: str) -> Job:
        if number not in self.jobs:
            raise Refused(404, "notFound", f"Not found: Job {number}")
        return self.jobs[number]

    def get_job(self, project: str, number: str, query: Row, body: Any) -> Row:
        return self.describe(project, self.job(number))

    def cancel_job(self, project: str, number: str, query: Row, body: Any) -> Row:
        return {"kind": "bigquery#jobCancelResponse", "job": self.describe(project, self.job(number))}

    def query(self, project: str, query: Row, body: Row) -> Row:
        """jobs.query: a job, and the first page of what it found."""
        asked = {
            key: body[key] for key in ("query", "useLegacySql", "queryParameters", "maximumBytesBilled") if key in body
        }
        job = Job(str(uuid.uuid4()), {"query": asked, "dryRun": bool(body.get("dryRun"))})
        self.run(project, job, dry=bool(body.get("dryRun")))
        if not body.get("dryRun"):
            self.jobs[job.number] = job
        page = {"maxResults": body["maxResults"]} if "maxResults" in body else {}
        return self.page(project, job, page | flat(body.get("formatOptions", {})))

    def query_results(self, project: str, number: str, query: Row, body: Any) -> Row:
        return self.page(project, self.job(number), query)

    def page(self, project: str, job: Job, query: Row) -> Row:
        """What a job found, from a page token or an index on. A job that failed is an error here."""
        if job.error:
            status = STATUS.get(job.error["reason"], 400)
            raise Refused(status, job.error["reason"], job.error["message"], job.error.get("location"))
        answer: Row = {
            "kind": "bigquery#queryResponse",
            "jobReference": {"projectId": project, "jobId": job.number, "location": LOCATION},
            "jobComplete": True,
            "schema": {"fields": job.schema},
            "totalRows": str(len(job.rows)),
            "totalBytesProcessed": job.statistics["totalBytesProcessed"],
            "cacheHit": False,
        }
        if job.affected is not None:
            answer["numDmlAffectedRows"] = str(job.affected)
        return answer | self.slice(job.rows, query)

    def slice(self, rows: list[list[Any]], query: Row) -> Row:
        start = int(query.get("pageToken") or query.get("startIndex") or 0)
        end = min(start + min(int(query.get("maxResults", self.page_rows)), self.page_rows), len(rows))
        whole = str(query.get("formatOptions.useInt64Timestamp", "")).lower() == "true"
        page: Row = {"rows": [{"f": [{"v": cell(value, whole)} for value in row]} for row in rows[start:end]]}
        if end < len(rows):
            page["pageToken"] = str(end)
        return page

    # Data sets, tables and the rows put into them.

    def has_dataset(self, name: str) -> bool:
        found = self.run_sql("SELECT 1 FROM information_schema.schemata WHERE schema_name = ?", [name])
        return bool(found)

    def dataset_or_404(self, name: str) -> None:
        if not self.has_dataset(name):
            raise Refused(404, "notFound", f"Not found: Dataset {colon(name)}")

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

    def table_or_404(self, name: str) -> list[tuple[Any, ...]]:
        """A table's columns as DuckDB describes them."""
        dataset, _, table = name.rpartition(".")
        if table not in self.names(dataset):
            raise Refused(404, "notFound", f"Not found: Table {colon(name)}")
        described: list[tuple[Any, ...]] = self.run_sql(f"DESCRIBE {relation(name)}")
        return described

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
        """tabledata.insertAll: if a row is wrong none is put in, and a row whose insert id was seen is not put in again."""
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


P, D, T = r"/projects/([^/]+)", r"/datasets/([^/]+)", r"/tables/([^/]+)"
ROUTES: list[tuple[str, str, Any]] = [
    ("POST", f"{P}/jobs", BigQuery.insert_job),
    ("GET", f"{P}/jobs/([^/]+)", BigQuery.get_job),
    ("POST", f"{P}/jobs/([^/]+)/cancel", BigQuery.cancel_job),
    ("POST", f"{P}/queries", BigQuery.query),
    ("GET", f"{P}/queries/([^/]+)", BigQuery.query_results),
    ("POST", f"{P}/datasets", BigQuery.insert_dataset),
    ("GET", f"{P}{D}", BigQuery.get_dataset),
    ("POST", f"{P}{D}/tables", BigQuery.insert_table),
    ("GET", f"{P}{D}/tables", BigQuery.list_tables),
    ("GET", f"{P}{D}{T}", BigQuery.get_table),
    ("DELETE", f"{P}{D}{T}", BigQuery.delete_table),
    ("GET", f"{P}{D}{T}/data", BigQuery.table_data),
    ("POST", f"{P}{D}{T}/insertAll", BigQuery.insert_all),
]


def flat(options: Row) -> Row:
    return {f"formatOptions.{name}": value for name, value in options.items()}


def schema_of(table: str) -> str:
    return f'"{table.rpartition(".")[0]}"'


def relation(table: str) -> str:
    """PROJECT.DATASET.TABLE as DuckDB has it here: a schema for each data set."""
    return f'{schema_of(table)}."{table.rpartition(".")[2]}"'


def colon(name: str) -> str:
    """As Google's messages write it: PROJECT:DATASET.TABLE."""
    return name.replace(".", ":", 1)


def reference(project: str, name: str) -> Row:
    *given, dataset, table = name.split(".")
    return {"projectId": given[0] if given else project, "datasetId": dataset, "tableId": table}


@contextlib.contextmanager
def refused_as_google(sql: str) -> Iterator[None]:
    """What DuckDB says against a query, as BigQuery would."""
    try:
        with located(sql):
            yield
    except SqlError as error:
        message = f"{error} at [{error.line}:{error.column}]"
        raise Refused(400, "invalidQuery", message, "query") from None
    except duckdb.Error as error:
        raise Refused(400, "invalidQuery", f"{str(error).splitlines()[0]} at [1:1]", "query") from None


def parameters(given: list[Row]) -> Row:
    return {one["name"]: parameter(one["parameterType"], one.get("parameterValue", {})) for one in given}


def parameter(kind: Row, given: Row) -> Any:
    if kind["type"] == "ARRAY":
        return [parameter(kind["arrayType"], value) for value in given.get("arrayValues", [])]
    value = given.get("value")
    if value is None:
        return None
    match kind["type"]:
        case "INT64" | "INTEGER":
            return int(value)
        case "FLOAT64" | "FLOAT":
            return float(value)
        case "BOOL" | "BOOLEAN":
            return str(value).lower() == "true"
        case "TIMESTAMP":
            return datetime.fromisoformat(value.replace(" UTC", "+00:00"))
        case "STRING" | "DATE" | "JSON":
            return value
    raise Refused(501, "notImplemented", f"The fake takes no parameter of type {kind['type']}.")


def sql_type(value: Any) -> str:
    """The GoogleSQL type of a value of Python's."""
    match value:
        case list():
            return f"ARRAY<{sql_type(value[0])}>" if value else "ARRAY<STRING>"
        case bool():
            return "BOOL"
        case int():
            return "INT64"
        case float():
            return "FLOAT64"
        case datetime():
            return "TIMESTAMP"
        case date():
            return "DATE"
    return "STRING"


def duckdb_type(kind: str) -> str:
    inner = re.fullmatch(r"ARRAY<(.+)>", kind)
    return f"{TO_DUCKDB[inner[1]]}[]" if inner else TO_DUCKDB[kind]


def column_of(column: Row) -> str:
    """A field of a table's schema as a column of CREATE TABLE."""
    kind = column["type"]
    if kind in ("RECORD", "STRUCT"):
        kind = f"STRUCT({', '.join(column_of(inner) for inner in column['fields'])})"
    elif kind in TO_DUCKDB:
        kind = TO_DUCKDB[kind]
    else:
        raise Refused(400, "invalid", f"Invalid value for type: {kind} is not a valid value")
    many = "[]" if column.get("mode") == "REPEATED" else ""
    required = " NOT NULL" if column.get("mode") == "REQUIRED" else ""
    return f'"{column["name"]}" {kind}{many}{required}'


def taken(value: Any, kind: str) -> Any:
    """A value as insertAll takes it: a number is a time in seconds."""
    if kind == TO_DUCKDB["TIMESTAMP"] and isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    return value


def schema_field(name: str, kind: Any) -> Row:
    """A column that DuckDB found as a field of BigQuery's schema."""
    if kind.id == "list":
        return schema_field(name, kind.children[0][1]) | {"mode": "REPEATED"}
    if kind.id == "struct":
        return {"name": name, "type": "RECORD", "mode": "NULLABLE"} | {
            "fields": [schema_field(inner, inner_kind) for inner, inner_kind in kind.children]
        }
    if str(kind) == "JSON":
        return {"name": name, "type": "JSON", "mode": "NULLABLE"}
    if str(kind) == '"NULL"':
        return {"name": name, "type": "INTEGER", "mode": "NULLABLE"}
    if kind.id not in FROM_DUCKDB:
        raise Refused(501, "notImplemented", f"The fake answers no column of DuckDB's type {kind}.")
    return {"name": name, "type": FROM_DUCKDB[kind.id], "mode": "NULLABLE"}


def cell(value: Any, whole: bool) -> Any:
    """A value as tabledata.list writes it. Times are microseconds if `whole`, else seconds."""
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case list():
            return [{"v": cell(inner, whole)} for inner in value]
        case dict():
            return {"f": [{"v": cell(inner, whole)} for inner in value.values()]}
        case datetime() if value.tzinfo:
            seconds = value.astimezone(UTC)
            micros = int((seconds - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1e6)
            return str(micros) if whole else repr(micros / 1e6)
        case date():
            return value.isoformat()
        case Decimal():
            return f"{value.normalize():f}"
    return str(value)


@contextlib.contextmanager
def bigquery(bucket: Path | None = None) -> Iterator[BigQuery]:
    """The fake, served on loopback."""
    fake = BigQuery(bucket)

    async def answer(request: Request) -> Response:
        raw = await request.body()
        path = "/" + request.path_params["path"]
        try:
            body = json.loads(raw) if raw else None
            found = await run_in_threadpool(fake.answer, request.method, path, dict(request.query_params), body)
        except Refused as refused:
            return JSONResponse(refused.body(), refused.status)
        except Exception as error:  # A 500 the client would try again for ten minutes.
            unknown = Refused(501, "notImplemented", f"The fake cannot: {type(error).__name__}: {error}")
            return JSONResponse(unknown.body(), unknown.status)
        return JSONResponse(found)

    application = Starlette(
        routes=[Route("/bigquery/v2/{path:path}", answer, methods=["GET", "POST", "DELETE", "PUT"])]
    )
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            fake.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            yield fake
        finally:
            server.should_exit = True
            thread.join()
