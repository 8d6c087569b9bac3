"""Query jobs: dry runs, limits on bytes, results in pages, DML and EXPORT DATA."""

from __future__ import annotations

import json
import math
import re
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from sqlglot import exp

from finetune.fetch.googlesql.grammar import position_of
from finetune.fetch.query import SqlError
from tests.fakes.bigquery.database import LOCATION, Database
from tests.fakes.bigquery.errors import STATUS, Refused, refused_as_google
from tests.fakes.bigquery.translation import parse, referenced_tables, translate
from tests.fakes.bigquery.values import Row, parameters

LEAST_BILLED = 10 * 2**20
"""What BigQuery bills for each table at least."""


@dataclass
class Job:
    number: str
    configuration: Row
    schema: list[Row] = field(default_factory=list)
    rows: list[list[Any]] = field(default_factory=list)
    statistics: Row = field(default_factory=dict)
    error: Row | None = None
    affected: int | None = None


class Query(NamedTuple):
    """A statement, parsed and translated."""

    tree: exp.Expr
    inner: str
    """The statement without EXPORT DATA around it."""
    known: dict[str, str]
    """The SQL for each table that it names."""
    sql: str
    """The statement for DuckDB."""

    def named_in(self, sql: str, values: Row) -> Row:
        """The parameters that it names. Raises SqlError at the place in `sql` of one without a value."""
        wanted = set(re.findall(r"\$(\w+)", self.sql))
        if missing := wanted - set(values):
            name = min(missing)
            raise SqlError(f"Query parameter '{name}' not found", *position_of(f"@{name}", sql))
        return {name: values[name] for name in wanted}


class Jobs(Database):
    """The routes for jobs."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes_processed: int | None = None
        """What queries say they read; None measures the columns they name."""
        self.bucket: Path | None = None
        """The folder that stands for gs://, for EXPORT DATA."""
        self.jobs: dict[str, Job] = {}

    @property
    def billed(self) -> int:
        """Bytes billed for all jobs that ran."""
        return sum(int(job.statistics.get("query", {}).get("totalBytesBilled", 0)) for job in self.jobs.values())

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
        """Run a query. An error is the reply to a dry run; otherwise it is the state of the job."""
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
            query = self.translated(project, sql)
        billed = self.bill(project, query, job, dry)
        values = parameters(asked.get("queryParameters", []))
        limit = asked.get("maximumBytesBilled")
        with refused_as_google(sql):
            given = query.named_in(sql, values)
            if dry:
                self.run_sql(f"EXPLAIN {query.sql}", given)
                return
            if limit is not None and billed > int(limit):
                job.statistics["query"]["totalBytesBilled"] = "0"
                message = f"Query exceeded limit for bytes billed: {limit}. {billed} or higher required."
                raise Refused(400, "bytesBilledLimitExceeded", message)
            self.carry_out(query, given, job)
        if isinstance(query.tree, exp.Export):
            self.export(query.tree, job)

    def translated(self, project: str, sql: str) -> Query:
        tree = parse(sql)
        inner = tree.this.sql(dialect="bigquery") if isinstance(tree, exp.Export) else sql
        resolve = self.resolve_new if isinstance(tree, exp.Create) else self.resolve
        known = {name: resolve(project, name) for _, name in referenced_tables(parse(inner))}
        return Query(tree, inner, known, translate(inner, known.__getitem__))

    def bill(self, project: str, query: Query, job: Job, dry: bool) -> int:
        """Write the job's statistics. Returns the bytes that it costs."""
        read = self.measure(query.inner, query.known) if self.bytes_processed is None else self.bytes_processed
        billed = max(LEAST_BILLED * len(query.known), math.ceil(read / 2**20) * 2**20)
        job.statistics = {
            "totalBytesProcessed": str(read),
            "query": {
                "totalBytesProcessed": str(read),
                "totalBytesBilled": "0" if dry else str(billed),
                "cacheHit": False,
                "statementType": "EXPORT_DATA" if isinstance(query.tree, exp.Export) else query.tree.key.upper(),
                "referencedTables": [reference(project, name) for name in query.known],
            },
        }
        return billed

    def carry_out(self, query: Query, given: Row, job: Job) -> None:
        if isinstance(query.tree, exp.Insert | exp.Update | exp.Delete | exp.Merge):
            job.affected = self.run_sql(query.sql, given)[0][0]
            job.statistics["query"]["numDmlAffectedRows"] = str(job.affected)
        elif isinstance(query.tree, exp.Create):
            self.run_sql(query.sql, given)
        else:
            job.schema, job.rows = self.select(query.sql, given)

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
        """jobs.query: runs a job and returns the first page of its result."""
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
        """A page of a job's result, from a page token or an index on. Raises Refused if the job failed."""
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


def flat(options: Row) -> Row:
    return {f"formatOptions.{name}": value for name, value in options.items()}


def reference(project: str, name: str) -> Row:
    *given, dataset, table = name.split(".")
    return {"projectId": given[0] if given else project, "datasetId": dataset, "tableId": table}
