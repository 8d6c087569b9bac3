"""The fake BigQuery answers the real client as the real one does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.api_core.retry import Retry
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery as google

from tests.fakes.bigquery import BigQuery, Failure, bigquery

TABLE = "p.d.t"
ROWS = [{"id": number, "body": f"Text {number}.", "score": number / 2} for number in range(7)]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BigQuery]:
    with bigquery(tmp_path_factory.mktemp("bucket")) as fake:
        yield fake


@pytest.fixture
def fake(served: BigQuery) -> BigQuery:
    served.__dict__ |= {"failures": [], "page_rows": 100_000, "bytes_processed": None}
    served.requests.clear()
    served.jobs.clear()
    served.load(TABLE, ROWS)
    return served


@pytest.fixture
def client(fake: BigQuery, monkeypatch: pytest.MonkeyPatch) -> google.Client:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", fake.address)
    return google.Client("p", AnonymousCredentials())


def config(**options: Any) -> google.QueryJobConfig:
    return google.QueryJobConfig(**options)


def test_rows_of_every_type_come_back_as_they_are(client: google.Client) -> None:
    sql = """SELECT 1 AS i, 0.5 AS f, 'é' AS s, TRUE AS b, NULL AS n, DATE '2019-08-01' AS d, ['a', 'b'] AS a,
        STRUCT(1 AS x, 'y' AS y) AS r, [STRUCT(1 AS x)] AS ar, TIMESTAMP_SECONDS(1564617600) AS t, NUMERIC '1.5' AS m"""
    (row,) = client.query_and_wait(sql)
    assert dict(row) | {"d": str(row["d"]), "m": str(row["m"])} == {
        "i": 1, "f": 0.5, "s": "é", "b": True, "n": None, "d": "2019-08-01", "a": ["a", "b"], "m": "1.5",
        "r": {"x": 1, "y": "y"}, "ar": [{"x": 1}], "t": datetime(2019, 8, 1, tzinfo=UTC),
    }  # fmt: skip


@pytest.mark.parametrize("way", ["query", "query_and_wait"])
def test_results_come_page_by_page(way: str, client: google.Client, fake: BigQuery) -> None:
    fake.page_rows = 3
    found = getattr(client, way)(f"SELECT id FROM {TABLE} ORDER BY id")
    rows = found if way == "query_and_wait" else found.result()
    assert [row["id"] for row in rows] == list(range(7))
    assert fake.called("GET .*/queries/") >= 2


def test_a_result_can_be_read_from_any_row_on(client: google.Client) -> None:
    job = client.query(f"SELECT id FROM {TABLE} ORDER BY id")
    again = client.get_job(job.job_id)
    assert isinstance(again, google.QueryJob)
    assert [row["id"] for row in again.result(start_index=5)] == [5, 6]


def test_parameters_have_names_and_types(client: google.Client) -> None:
    given = [
        google.ArrayQueryParameter("ids", "INT64", [1, 2, 3]),
        google.ScalarQueryParameter("least", "FLOAT64", 1),
        google.ScalarQueryParameter("text", "STRING", "Text"),
    ]
    sql = f"SELECT id FROM `{TABLE}` WHERE id IN UNNEST(@ids) AND score >= @least AND STARTS_WITH(body, @text) ORDER BY id"
    assert [row["id"] for row in client.query_and_wait(sql, job_config=config(query_parameters=given))] == [2, 3]


def test_a_dry_run_says_what_it_would_read_and_bills_nothing(client: google.Client, fake: BigQuery) -> None:
    job = client.query(f"SELECT id FROM {TABLE}", job_config=config(dry_run=True))
    assert job.total_bytes_processed == 7 * 8
    assert client.query(f"SELECT * FROM {TABLE}", job_config=config(dry_run=True)).total_bytes_processed > 7 * 16
    assert (fake.billed, fake.jobs) == (0, {})


def test_a_query_over_its_limit_is_refused_and_not_billed(client: google.Client, fake: BigQuery) -> None:
    with pytest.raises(
        exceptions.GoogleAPICallError, match=r"Query exceeded limit for bytes billed: 1000. 10485760 or"
    ):
        client.query(f"SELECT id FROM {TABLE}", job_config=config(maximum_bytes_billed=1000)).result()
    assert fake.billed == 0
    list(client.query(f"SELECT id FROM {TABLE}", job_config=config(maximum_bytes_billed=10 * 2**20)).result())
    assert fake.billed == 10 * 2**20


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT id\nFORM x y", r'Syntax error: Unexpected "x" at \[2:6\]'),
        (f"SELECT id,\n  bodyy FROM {TABLE}", r"Unrecognized name: bodyy at \[2:3\]"),
        (f"SELECT id FROM {TABLE}\nWHERE id = @n", r"Query parameter 'n' not found at \[2:12\]"),
        (f"SELECT FROBNICATE(id) FROM {TABLE}", r"Function not found: FROBNICATE at \[1:8\]"),
    ],
)
def test_an_sql_error_has_its_line(sql: str, message: str, client: google.Client) -> None:
    with pytest.raises(exceptions.BadRequest, match=message):
        client.query(sql, job_config=config(dry_run=True))
    with pytest.raises(exceptions.BadRequest, match=message):
        client.query(sql).result()
    with pytest.raises(exceptions.BadRequest, match=message):
        client.query_and_wait(sql)


def test_a_missing_table_is_a_404(client: google.Client) -> None:
    with pytest.raises(exceptions.NotFound, match=r"Not found: Table p:d.nope was not found in location US"):
        client.query("SELECT * FROM d.nope", job_config=config(dry_run=True))
    with pytest.raises(exceptions.NotFound, match=r"p:d.nope_\* does not match any table"):
        client.query("SELECT * FROM `p.d.nope_*`").result()


def test_wildcard_tables_have_their_suffix(client: google.Client, fake: BigQuery) -> None:
    for month in ("01", "02", "03"):
        fake.load(f"p.months.2019_{month}", [{"id": int(month)}])
    sql = (
        "SELECT id, _TABLE_SUFFIX AS month FROM `p.months.2019_*` WHERE _TABLE_SUFFIX BETWEEN '02' AND '03' ORDER BY id"
    )
    assert [tuple(row) for row in client.query_and_wait(sql)] == [(2, "02"), (3, "03")]


def test_farm_fingerprint_is_googles(client: google.Client) -> None:
    """The example of its documentation."""
    (row,) = client.query_and_wait("SELECT FARM_FINGERPRINT(CONCAT('1', 'foo', 'true')) AS f")
    assert row["f"] == -1541654101129638711


def test_array_agg_takes_order_limit_and_nulls(client: google.Client) -> None:
    sql = """SELECT ARRAY_AGG(id ORDER BY id DESC LIMIT 2) AS a, ARRAY_AGG(IF(id < 3, id, NULL) IGNORE NULLS ORDER BY id
        DESC LIMIT 5) AS b FROM p.d.t"""
    (row,) = client.query_and_wait(sql)
    assert dict(row) == {"a": [6, 5], "b": [2, 1, 0]}


SCHEMA = [
    google.SchemaField("id", "INTEGER", "REQUIRED"),
    google.SchemaField("at", "TIMESTAMP"),
    google.SchemaField("words", "STRING", "REPEATED"),
]


def test_tables_are_made_filled_and_changed(client: google.Client, fake: BigQuery) -> None:
    client.create_dataset("fresh")
    with pytest.raises(exceptions.Conflict, match="Already Exists: Dataset p:fresh"):
        client.create_dataset("fresh")
    client.create_dataset("fresh", exists_ok=True)
    table = client.create_table(google.Table("p.fresh.votes", SCHEMA))
    with pytest.raises(exceptions.Conflict, match=r"Already Exists: Table p:fresh.votes"):
        client.create_table(google.Table("p.fresh.votes", SCHEMA))
    assert client.get_table("p.fresh.votes").schema == SCHEMA
    when = datetime(2026, 11, 21, 10, tzinfo=UTC)
    new: list[dict[str, Any]] = [{"id": 1, "at": when, "words": ["a"]}, {"id": 2}]
    assert client.insert_rows(table, new) == []
    client.query_and_wait("UPDATE p.fresh.votes SET id = 3 WHERE id = 2")
    rows = sorted(client.list_rows("p.fresh.votes"), key=lambda row: row["id"])
    assert [(row["id"], row["at"], row["words"]) for row in rows] == [(1, when, ["a"]), (3, None, [])]
    assert [listed.table_id for listed in client.list_tables("fresh")] == ["votes"]
    client.delete_table("p.fresh.votes")
    with pytest.raises(exceptions.NotFound, match=r"Not found: Table p:fresh.votes"):
        client.get_table("p.fresh.votes")
    with pytest.raises(exceptions.NotFound, match="Not found: Dataset p:nowhere"):
        client.create_table(google.Table("p.nowhere.votes", SCHEMA))


def test_dml_says_how_many_rows_it_changed(client: google.Client, fake: BigQuery) -> None:
    job = client.query(f"DELETE FROM {TABLE} WHERE id > 4")
    job.result()
    assert (job.num_dml_affected_rows, len(fake.rows(TABLE))) == (2, 5)
    merge = f"""MERGE {TABLE} AS t USING (SELECT 1 AS id) AS s ON t.id = s.id
        WHEN MATCHED THEN UPDATE SET body = 'new' WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)"""
    assert client.query_and_wait(merge).num_dml_affected_rows == 1
    assert "new" in [row["body"] for row in fake.rows(TABLE)]


def test_a_wrong_row_stops_the_others(client: google.Client, fake: BigQuery) -> None:
    errors = client.insert_rows_json(TABLE, [{"id": 9}, {"id": "x"}, {"idd": 1}])
    assert [(error["index"], error["errors"][0]["reason"]) for error in errors] == [
        (0, "stopped"), (1, "invalid"), (2, "invalid"),
    ]  # fmt: skip
    assert errors[2]["errors"][0]["message"] == "no such field: idd."
    assert len(fake.rows(TABLE)) == 7


def test_a_row_with_a_known_insert_id_is_not_inserted_again(client: google.Client, fake: BigQuery) -> None:
    for _ in range(2):
        client.insert_rows_json(TABLE, [{"id": 9}], row_ids=["vote-9"])
    assert len(fake.rows(TABLE)) == 8


def test_requests_fail_on_purpose_and_the_client_tries_again(client: google.Client, fake: BigQuery) -> None:
    fake.failures = [Failure("insertAll", done=True), Failure("GET .*/t$", 403, "accessDenied", "Access Denied")]
    assert client.insert_rows_json(TABLE, [{"id": 9}], row_ids=["vote-10"]) == []
    assert (fake.called("insertAll"), len(fake.rows(TABLE))) == (2, 8)
    with pytest.raises(exceptions.Forbidden, match="Access Denied"):
        client.get_table(TABLE)


def test_export_data_writes_to_the_bucket(client: google.Client, fake: BigQuery) -> None:
    uri = "gs://bucket/part-*.jsonl"
    client.query_and_wait(
        f"EXPORT DATA OPTIONS (uri = '{uri}', format = 'JSON') AS SELECT id FROM {TABLE} WHERE id < 2"
    )
    bucket = fake.bucket or Path()
    assert (bucket / "bucket/part-000000000000.jsonl").read_text() == '{"id": 0}\n{"id": 1}\n'


def test_an_unknown_request_is_an_error_that_names_it(client: google.Client) -> None:
    with pytest.raises(exceptions.GoogleAPICallError, match="The fake has no GET /projects/p/datasets"):
        list(client.list_datasets(retry=Retry(deadline=0)))
