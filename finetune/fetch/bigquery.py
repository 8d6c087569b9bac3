"""A query on BigQuery: first what it would read and cost, then, if that is wanted, its rows.

Nothing is billed before it was agreed to, and never more than that: every job has its limit. The result of a job stays on
BigQuery for a day, so what was interrupted goes on with the rows that are missing, and is not billed again.

BIGQUERY_EMULATOR_HOST, which Google's library knows, points at another server; that one is asked without credentials.
"""

from __future__ import annotations

import os
import re
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from app.errors import DataError, SettingError
from finetune.fetch.journal import Journal, write_rows
from finetune.fetch.query import Query, Value
from finetune.progress_bar import progress_bar

if TYPE_CHECKING:
    from google.cloud.bigquery import Client, QueryJob, QueryJobConfig
    from google.cloud.bigquery.table import RowIterator

DOLLARS_PER_TIB = 6.25
"""On demand, in the US; the first TiB of each month is free."""
TIB = 2**40
LEAST_BILLED = 10 * 2**20
"""Bytes billed for each table at least."""
PAGE = 10_000
PATIENCE = 120.0
"""Seconds for which a request is tried again before the fetch is given up for now."""
LARGE = 50_000
"""Rows from which on the Storage Read API is worth its session."""
EXPORTS = {".jsonl": "JSON", ".json": "JSON", ".parquet": "PARQUET"}


def connect(project: str | None, location: str | None) -> Client:
    """Raises SettingError where there are no credentials or no project."""
    from google.auth.credentials import AnonymousCredentials
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.bigquery import Client

    emulated = "BIGQUERY_EMULATOR_HOST" in os.environ
    project = project or os.environ.get("GOOGLE_CLOUD_PROJECT")
    no_project = SettingError("BigQuery needs a project to bill: name yours with --project.")
    if emulated and project is None:
        raise no_project
    try:
        credentials = AnonymousCredentials() if emulated else None
        return Client(project=project, credentials=credentials, location=location)
    except GoogleAuthError:
        raise SettingError(
            "BigQuery needs credentials: run `gcloud auth application-default login`, or set "
            "GOOGLE_APPLICATION_CREDENTIALS to a key file; --engine duckdb --source FILES needs none."
        ) from None
    except OSError:
        raise no_project from None


@contextmanager
def refusals(query: Query) -> Iterator[None]:
    """What BigQuery says against a query, in one sentence with the file's line."""
    from google.api_core.exceptions import GoogleAPICallError, NotFound, RetryError
    from google.auth.exceptions import GoogleAuthError
    from requests import RequestException

    try:
        yield
    except GoogleAPICallError as error:
        said = str(error.errors[0].get("message", error.message) if error.errors else error.message).splitlines()[0]
        if at := re.search(r" at \[(\d+):(\d+)\]", said):
            sentence = said.replace(at[0], "")
            raise DataError(f"{query.path}, line {at[1]}, column {at[2]}: {sentence}.") from None
        names = " or ".join(f"{table.name}=…" for table in query.tables)
        other = f"; another table is named with --param {names}" if isinstance(error, NotFound) and names else ""
        raise DataError(f"{query.path}: BigQuery says: {said.removesuffix('.')}{other}.") from None
    except (RetryError, GoogleAuthError, RequestException) as error:
        raise DataError(f"BigQuery cannot be reached ({type(error).__name__}): try again; what came is kept.") from None


def retry() -> Any:
    from google.cloud.bigquery import DEFAULT_RETRY

    return DEFAULT_RETRY.with_timeout(PATIENCE)


def config_of(values: Mapping[str, Value], **options: Any) -> QueryJobConfig:
    from google.cloud.bigquery import QueryJobConfig, ScalarQueryParameter

    kinds = {bool: "BOOL", int: "INT64", float: "FLOAT64", str: "STRING"}
    parameters = [ScalarQueryParameter(name, kinds[type(value)], value) for name, value in values.items()]
    return QueryJobConfig(query_parameters=parameters, **options)


def estimate(client: Client, query: Query, sql: str, values: Mapping[str, Value]) -> tuple[int, int]:
    """Bytes that a dry run says the query reads, and the most that could be billed for it."""
    with refusals(query):
        config = config_of(values, dry_run=True, use_query_cache=False)
        job = client.query(sql, job_config=config, retry=retry(), job_retry=None)
    read = int(job.total_bytes_processed or 0)
    tables = max(1, len(job.referenced_tables))
    return read, max(read, 0) + LEAST_BILLED * tables


def agree(query: Query, read: int, budget: float, yes: bool) -> None:
    """Show what it costs and ask. Raises SettingError where it is too much or nobody can be asked."""
    dollars = read / TIB * DOLLARS_PER_TIB
    cost = f"{read / 1e9:,.2f} GB, ${dollars:,.2f} at ${DOLLARS_PER_TIB} a TiB"
    if dollars > budget:
        raise SettingError(
            f"{query.name} would read {cost}, and --budget is ${budget:,.2f}: nothing was billed. "
            "Ask for fewer months, or raise --budget."
        )
    print(f"{query.name} reads {cost}; the first TiB of a month is free.")
    if yes:
        return
    if not sys.stdin.isatty():
        raise SettingError("nobody is there to agree to that: add --yes.")
    if input("Run it? [y/N] ").strip().lower() not in ("y", "yes"):
        raise SettingError("nothing was run, and nothing billed.")


def fetch_rows(
    client: Client,
    query: Query,
    sql: str,
    values: Mapping[str, Value],
    journal: Journal,
    budget: float,
    yes: bool,
) -> dict[str, int]:
    """Run the query, or find the job that ran, and add the missing rows to the journal. Returns bytes read and billed."""
    job = running(client, query, journal)
    if job is None:
        job = start(client, query, sql, values, journal, budget, yes)
    with refusals(query):
        found = job.result(page_size=PAGE, retry=retry(), job_retry=None)
        total = int(found.total_rows or 0)
        if total >= LARGE and "BIGQUERY_EMULATOR_HOST" not in os.environ:
            add_from_storage(found, journal, total)
        else:
            add_pages(job, journal, total)
    return {"bytes_read": int(job.total_bytes_processed or 0), "bytes_billed": int(job.total_bytes_billed or 0)}


def running(client: Client, query: Query, journal: Journal) -> QueryJob | None:
    """The job that this fetch began before it was interrupted, if BigQuery still has it."""
    from google.api_core.exceptions import NotFound

    if "job" not in journal.state:
        return None
    with refusals(query):
        try:
            where = journal.state["location"]
            job: QueryJob = client.get_job(journal.state["job"], location=where, retry=retry())  # type: ignore[assignment]
        except NotFound:
            return None
    if job.error_result:
        return None
    print(f"Going on with job {job.job_id}, which is not billed again.")
    return job


def start(
    client: Client,
    query: Query,
    sql: str,
    values: Mapping[str, Value],
    journal: Journal,
    budget: float,
    yes: bool,
) -> QueryJob:
    """Agree on the cost and begin the job, under a name that the journal knows before BigQuery does."""
    read, most = estimate(client, query, sql, values)
    agree(query, read, budget, yes)
    name = f"fetch-{query.name}-{uuid.uuid4()}"
    journal.rows.unlink(missing_ok=True)
    journal.keep(job=name, location=client.location)
    with refusals(query):
        config = config_of(values, maximum_bytes_billed=most)
        job = client.query(sql, job_config=config, job_id=name, retry=retry(), job_retry=None)
        journal.keep(location=job.location)
    return job


def add_pages(job: QueryJob, journal: Journal, total: int) -> None:
    """The rows from where the journal ends, page by page."""
    have = journal.lines()
    with journal.adding() as file, progress_bar("fetch", total, " rows", done=have) as progress:
        for page in job.result(page_size=PAGE, start_index=have, retry=retry(), job_retry=None).pages:
            progress.update(write_rows(file, (dict(row.items()) for row in page)))
            file.flush()


def add_from_storage(found: RowIterator, journal: Journal, total: int) -> None:
    """All rows, through the Storage Read API, which keeps no order; where it is not allowed, the library asks for pages."""
    from google.cloud.bigquery_storage import BigQueryReadClient

    reader = BigQueryReadClient()
    with journal.adding(anew=True) as file, progress_bar("fetch", total, " rows") as progress:
        for batch in found.to_arrow_iterable(bqstorage_client=reader):
            progress.update(write_rows(file, batch.to_pylist()))


def export(
    client: Client, query: Query, sql: str, values: Mapping[str, Value], uri: str, budget: float, yes: bool
) -> dict[str, int]:
    """Let BigQuery write the result to a bucket by itself. Returns bytes read and billed."""
    read, most = estimate(client, query, sql, values)
    agree(query, read, budget, yes)
    with refusals(query):
        config = config_of(values, maximum_bytes_billed=most)
        job = client.query(f"{options_of(uri)} AS {sql}", job_config=config, retry=retry(), job_retry=None)
        job.result(retry=retry(), job_retry=None)
    return {"bytes_read": int(job.total_bytes_processed or 0), "bytes_billed": int(job.total_bytes_billed or 0)}


def options_of(uri: str) -> str:
    """EXPORT DATA to an address such as gs://bucket/folder/part-*.jsonl.gz. Raises SettingError."""
    found = re.fullmatch(r"gs://[\w./=-]+\*[\w./=-]*?(\.jsonl|\.json|\.parquet)(\.gz)?", uri)
    if not found or (found[1] == ".parquet" and found[2]):
        raise SettingError(
            f"--export is {uri!r}, and should be an address with one * such as gs://bucket/part-*.jsonl.gz or -*.parquet."
        )
    packed = ", compression = 'GZIP'" if found[2] else ""
    return f"EXPORT DATA OPTIONS (uri = '{uri}', format = '{EXPORTS[found[1]]}'{packed})"
