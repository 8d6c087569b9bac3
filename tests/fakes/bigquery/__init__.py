"""A BigQuery on loopback: the REST API that google-cloud-bigquery speaks, on GoogleSQL that DuckDB runs.

    with bigquery() as fake:
        fake.load("project.dataset.table", [{"id": 1, "body": "Yes."}])
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", fake.address)      # the client's own variable

It has jobs (dry runs, limits on bytes, pages, cancelling, EXPORT DATA), queries, tables, data sets, and insertAll with row
errors and insert ids. Errors have Google's shape and reason, and for SQL the line and column. `failures` makes requests fail
on purpose; `requests` is what came in. A request or a type that the fake does not know is a 501, never a guess.
"""

from tests.fakes.bigquery.errors import Failure
from tests.fakes.bigquery.jobs import LEAST_BILLED
from tests.fakes.bigquery.server import BigQuery, bigquery

__all__ = ["LEAST_BILLED", "BigQuery", "Failure", "bigquery"]
