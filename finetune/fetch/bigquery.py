"""A query on BigQuery: its cost by a dry run, then its rows, resumed after an interruption.

Nothing is billed without consent, and never more than was agreed to: every job has a limit. BigQuery keeps a job's result
for a day, so an interrupted fetch resumes with the missing rows, and is not billed again.

BIGQUERY_EMULATOR_HOST, a variable of Google's library, names another server, which is asked without credentials.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from app.errors import DataError, SettingError
from finetune.fetch.bigquery_cost import CostEstimate
from finetune.fetch.googlesql.grammar import selected_columns
from finetune.fetch.journal import Journal, write_rows
from finetune.fetch.parameters import bind
from finetune.fetch.query import Query, split_tables
from finetune.fetch.row_source import FetchedRows
from finetune.network_errors import network_problem
from finetune.progress_bar import progress_bar

if TYPE_CHECKING:
    from google.cloud.bigquery import Client, QueryJob, QueryJobConfig
    from google.cloud.bigquery.table import RowIterator

PAGE = 10_000
"""Rows of a page."""
PATIENCE, PATIENCE_AT_FIRST = 120.0, 15.0
"""Seconds for which a failing request is retried; the first one fails soon, while somebody is still looking."""
MAX_PAGE = 2**28
"""Bytes of an answer; BigQuery's own limit for a page is 10 MB, or one row."""
LOG_IN = "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to a key file"
LARGE = 50_000
"""Rows from which on the Storage Read API is worth opening a session for."""
EXPORT_FORMATS = {".jsonl": "JSON", ".json": "JSON", ".parquet": "PARQUET"}


class BigQueryRows:
    """A RowSource: the rows of a query on BigQuery."""

    def __init__(
        self,
        query: Query,
        param: Sequence[str],
        agree: Callable[[CostEstimate], None],
        project: str | None = None,
        location: str | None = None,
    ) -> None:
        """`agree` is called before anything is billed, and raises SettingError to refuse.

        `project` is billed and the query runs in `location`; by default both are those of Google's environment.
        Raises SettingError for a wrong --param.
        """
        given, addresses = split_tables(query, param)
        self.query, self.agree, self.project, self.location = query, agree, project, location
        self.values = bind(query.name, query.parameters, given)
        self.sql = query.sql(addresses)

    @cached_property
    def client(self) -> Client:
        return create_client(self.project, self.location)

    def request(self) -> dict[str, Any]:
        return self._origin() | {"project": self.project, "sql": self.sql}

    def _origin(self) -> dict[str, Any]:
        return self.query.origin("bigquery", self.values)

    def expected_columns(self) -> Collection[str]:
        return selected_columns(self.query)

    def fetch(self, journal: Journal) -> FetchedRows:
        """Run the query, or find the job that ran before an interruption, and add the missing rows to the journal.

        Raises SettingError or DataError.
        """
        job = self.find_job(journal) or self.start_job(journal)
        with bigquery_errors(self.query):
            found = job.result(page_size=PAGE, retry=retry(), job_retry=None)
            if (found.total_rows or 0) >= LARGE and "BIGQUERY_EMULATOR_HOST" not in os.environ:
                add_from_storage(found, journal)
            else:
                add_pages(job, journal)
        return FetchedRows([column.name for column in found.schema], self._origin() | bytes_of(job))

    def find_job(self, journal: Journal) -> QueryJob | None:
        """The job that this fetch started before it was interrupted, if BigQuery still has it."""
        from google.api_core.exceptions import NotFound

        if "job" not in journal.state:
            return None
        name, location = journal.state["job"], journal.state["location"]
        with bigquery_errors(self.query):
            try:
                job: QueryJob = self.client.get_job(name, location=location, retry=retry(PATIENCE_AT_FIRST))  # type: ignore[assignment]
            except NotFound:
                return None
        if job.error_result:
            return None
        journal.notify(f"Resuming job {job.job_id}, which is not billed again.")
        return job

    def start_job(self, journal: Journal) -> QueryJob:
        """Agree on the cost and start the job. The journal has the job's name before it starts, so that no job is lost."""
        limit = self.agreed_limit()
        name = f"fetch-{self.query.name}-{uuid.uuid4()}"
        journal.rows.unlink(missing_ok=True)
        journal.keep(job=name, location=self.client.location)
        with bigquery_errors(self.query):
            config = self._job_config(maximum_bytes_billed=limit)
            job = self.client.query(self.sql, job_config=config, job_id=name, retry=retry(), job_retry=None)
            journal.keep(location=job.location)
        return job

    def agreed_limit(self) -> int:
        """The most bytes that may be billed, after consent. Raises SettingError without it."""
        with bigquery_errors(self.query):
            config = self._job_config(dry_run=True, use_query_cache=False)
            patience = retry(PATIENCE_AT_FIRST)
            job = self.client.query(self.sql, job_config=config, retry=patience, job_retry=None)
        estimate = CostEstimate(int(job.total_bytes_processed or 0), len(job.referenced_tables))
        self.agree(estimate)
        return estimate.billing_limit

    def _job_config(self, **options: Any) -> QueryJobConfig:
        from google.cloud.bigquery import QueryJobConfig, ScalarQueryParameter

        kinds = {bool: "BOOL", int: "INT64", float: "FLOAT64", str: "STRING"}
        parameters = [ScalarQueryParameter(name, kinds[type(value)], value) for name, value in self.values.items()]
        return QueryJobConfig(query_parameters=parameters, **options)

    def export(self, uri: str) -> dict[str, int]:
        """Let BigQuery write the result to Cloud Storage. Returns bytes read and billed. Raises SettingError, DataError."""
        statement = f"{export_statement(uri)} AS {self.sql}"
        limit = self.agreed_limit()
        with bigquery_errors(self.query):
            config = self._job_config(maximum_bytes_billed=limit)
            job = self.client.query(statement, job_config=config, retry=retry(), job_retry=None)
            job.result(retry=retry(), job_retry=None)
        return bytes_of(job)


def create_client(project: str | None, location: str | None) -> Client:
    """Raises SettingError without credentials or project."""
    from google.auth.credentials import AnonymousCredentials
    from google.auth.exceptions import GoogleAuthError, TransportError
    from google.cloud.bigquery import Client
    from requests import RequestException

    from app.bounded_adapter import bound

    emulated = "BIGQUERY_EMULATOR_HOST" in os.environ
    project = project or os.environ.get("GOOGLE_CLOUD_PROJECT", "").strip() or None
    no_project = SettingError("BigQuery needs a project to bill: name yours with --project.")
    if emulated and project is None:
        raise no_project
    try:
        credentials = AnonymousCredentials() if emulated else None
        client = Client(project=project, credentials=credentials, location=location)
        bound(client._http, MAX_PAGE, PATIENCE)
        return client
    except (TransportError, RequestException) as error:
        raise DataError(f"{network_problem(error, 'BigQuery')}.") from None
    except GoogleAuthError:
        raise SettingError(
            f"BigQuery needs credentials: {LOG_IN}; --engine duckdb --source FILES needs none."
        ) from None
    except OSError:
        raise no_project from None


@contextmanager
def bigquery_errors(query: Query) -> Iterator[None]:
    """Turn BigQuery's errors into DataErrors of one sentence, with the line of the query's file where BigQuery has one."""
    from google.api_core.exceptions import GoogleAPICallError, NotFound, RetryError
    from google.auth.exceptions import GoogleAuthError, TransportError
    from requests import RequestException

    try:
        yield
    except GoogleAPICallError as error:
        message = str(error.errors[0].get("message", error.message) if error.errors else error.message).splitlines()[0]
        if at := re.search(r" at \[(\d+):(\d+)\]", message):
            sentence = message.replace(at[0], "")
            raise DataError(f"{query.path}, line {at[1]}, column {at[2]}: {sentence}.") from None
        names = " or ".join(f"{table.name}=…" for table in query.tables)
        hint = f"; name another table with --param {names}" if isinstance(error, NotFound) and names else ""
        raise DataError(f"{query.path}: BigQuery says: {message.removesuffix('.')}{hint}.") from None
    except (RetryError, TransportError, RequestException) as error:
        problem = (
            network_problem(error, "BigQuery") or f"BigQuery cannot be reached ({type(error).__name__}): try again"
        )
        raise DataError(f"{problem}; the rows fetched so far are kept.") from None
    except (AttributeError, LookupError, TypeError) as error:  # Google's library checks nothing of an answer.
        raise DataError(
            f"what answers is not BigQuery ({type(error).__name__}): check HTTPS_PROXY and BIGQUERY_EMULATOR_HOST; "
            "the rows fetched so far are kept."
        ) from None
    except GoogleAuthError as error:
        raise SettingError(f"BigQuery does not accept your credentials ({first_line(error)}): {LOG_IN}.") from None


def first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


def retry(patience: float = PATIENCE) -> Any:
    """Google's own choice of errors to retry, for so many seconds."""
    from google.cloud.bigquery import DEFAULT_RETRY

    return DEFAULT_RETRY.with_timeout(patience)


def add_pages(job: QueryJob, journal: Journal) -> None:
    """Add the rows that the journal lacks, page by page."""
    have = journal.count_rows()
    found = job.result(page_size=PAGE, start_index=have, retry=retry(), job_retry=None)
    with journal.adding() as file, progress_bar("fetch", found.total_rows, " rows", done=have) as progress:
        for page in found.pages:
            progress.update(write_rows(file, (dict(row.items()) for row in page)))
            file.flush()


def add_from_storage(found: RowIterator, journal: Journal) -> None:
    """Write all rows anew, since the Storage Read API keeps no order. Without access to it, the library reads pages."""
    from google.cloud.bigquery_storage import BigQueryReadClient

    reader = BigQueryReadClient()
    with journal.adding(anew=True) as file, progress_bar("fetch", found.total_rows, " rows") as progress:
        for batch in found.to_arrow_iterable(bqstorage_client=reader):
            progress.update(write_rows(file, batch.to_pylist()))


def bytes_of(job: QueryJob) -> dict[str, int]:
    """The bytes that a finished job has read and billed, as the manifest has them."""
    return {"bytes_read": int(job.total_bytes_processed or 0), "bytes_billed": int(job.total_bytes_billed or 0)}


def export_statement(uri: str) -> str:
    """EXPORT DATA OPTIONS (…) for an address such as gs://bucket/folder/part-*.jsonl.gz. Raises SettingError."""
    found = re.fullmatch(r"gs://[\w./=-]+\*[\w./=-]*?(\.jsonl|\.json|\.parquet)(\.gz)?", uri)
    if not found or (found[1] == ".parquet" and found[2]):
        raise SettingError(
            f"--export is {uri!r}, and should be an address with one *, such as gs://bucket/part-*.jsonl.gz or -*.parquet."
        )
    compression = ", compression = 'GZIP'" if found[2] else ""
    return f"EXPORT DATA OPTIONS (uri = '{uri}', format = '{EXPORT_FORMATS[found[1]]}'{compression})"
