"""What the fake BigQuery refuses, in Google's words and shape."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb

from finetune.fetch.duckdb_session import sql_errors
from finetune.fetch.query import SqlError

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
    """Makes matching requests fail. With `done` they take effect first, as when only the answer is lost."""

    match: str
    """A regular expression, searched in "METHOD /path"."""
    status: int = 503
    reason: str = "backendError"
    message: str = "The service is currently unavailable."
    times: int = 1
    after: int = 0
    """So many that match go well before."""
    done: bool = False


@contextlib.contextmanager
def refused_as_google(sql: str) -> Iterator[None]:
    """Turn DuckDB's errors about a query into BigQuery's."""
    try:
        with sql_errors(sql):
            yield
    except SqlError as error:
        message = f"{error} at [{error.line}:{error.column}]"
        raise Refused(400, "invalidQuery", message, "query") from None
    except duckdb.Error as error:
        raise Refused(400, "invalidQuery", f"{str(error).splitlines()[0]} at [1:1]", "query") from None
