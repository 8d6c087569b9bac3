"""The fake's HTTP server: one handler for each route, failures on purpose, and a record of the requests."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.fakes.bigquery.errors import Failure, Refused
from tests.fakes.bigquery.jobs import Jobs
from tests.fakes.bigquery.tables import Tables
from tests.fakes.bigquery.values import Row
from tests.fakes.loopback import on_loopback


class BigQuery(Jobs, Tables):
    """The fake. Everything public is for tests to set, fill and look at."""

    def __init__(self, bucket: Path | None = None) -> None:
        super().__init__()
        self.bucket = bucket
        self.address = ""
        self.requests: list[tuple[str, str, Any]] = []
        """(method, path below /bigquery/v2, body) of each request."""
        self.failures: list[Failure] = []

    def called(self, match: str) -> int:
        """How many requests "METHOD /path" match."""
        return sum(bool(re.search(match, f"{method} {path}")) for method, path, _ in self.requests)

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
        except Exception as error:  # The client would retry a 500 for ten minutes.
            unknown = Refused(501, "notImplemented", f"The fake cannot: {type(error).__name__}: {error}")
            return JSONResponse(unknown.body(), unknown.status)
        return JSONResponse(found)

    application = Starlette(
        routes=[Route("/bigquery/v2/{path:path}", answer, methods=["GET", "POST", "DELETE", "PUT"])]
    )
    with on_loopback(application) as fake.address:
        yield fake
