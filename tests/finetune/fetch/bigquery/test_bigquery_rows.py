"""`fetch` returns the rows of a query on BigQuery, or reports its error in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.errors import DataError, SettingError
from finetune.commands.fetch import FetchOptions, fetch
from finetune.fetch.bigquery import PAGE, BigQueryRows, add_from_storage, bigquery_errors
from finetune.fetch.journal import Journal
from finetune.fetch.query import read_query
from tests.fakes.bigquery import BigQuery, Failure
from tests.fakes.bigquery.storage import storage
from tests.finetune.fetch.rows import BODIES, COLUMNS, COMMENT_ROWS, FIRST, Fetch, query_jobs


def test_parameters_are_bound_and_not_put_into_the_sql(run: Fetch, fake: BigQuery) -> None:
    assert run(param=["pattern=number 2[02]", "least=5"]) == [BODIES[10], BODIES[11]]
    sent = query_jobs(fake)[1]
    assert "number 2[02]" not in sent["query"]
    given = {
        one["name"]: (one["parameterType"]["type"], one["parameterValue"]["value"]) for one in sent["queryParameters"]
    }
    assert given["pattern"] == ("STRING", "number 2[02]")
    assert given["least"] == ("INT64", "5")
    assert given["share"][0] == "FLOAT64"


def test_missing_credentials_are_explained(
    out: Path, vocabulary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BIGQUERY_EMULATOR_HOST", raising=False)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with pytest.raises(SettingError, match="BigQuery needs credentials: run `gcloud auth application-default login`"):
        fetch(FetchOptions("subreddit_comments", out=out, project="p", vocabulary=vocabulary))


@pytest.mark.parametrize("value", ["", " \n"])
def test_a_missing_project_is_reported(run: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", value)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with pytest.raises(SettingError, match="BigQuery needs a project to bill: name yours with --project"):
        run(project=None)


def test_another_table_can_replace_the_default_one(run: Fetch, fake: BigQuery) -> None:
    fake.load("mine.reddit.20_2019", [], dict(COLUMNS))
    fake.load("mine.reddit.comments_2019_08", COMMENT_ROWS, dict(COLUMNS))
    assert run(param=["comments=mine.reddit.comments_20*"]) == BODIES
    with pytest.raises(SettingError, match=r"--param comments is 'mine.reddit.c', and should end in 20\*"):
        run(param=["comments=mine.reddit.c"])
    with pytest.raises(SettingError, match=r"--param comments is 'a b', and should be a table: project.dataset.table"):
        run(param=["comments=a b"])


def test_a_missing_table_is_reported_with_a_way_out(run: Fetch, fake: BigQuery) -> None:
    with pytest.raises(DataError) as error:
        run(param=["comments=mine.nowhere.comments_20*"])
    said = str(error.value)
    assert "BigQuery says: mine:nowhere.comments_20* does not match any table" in said
    assert said.endswith("; name another table with --param comments=….")
    assert fake.billed == 0


def test_missing_access_is_reported(run: Fetch, fake: BigQuery) -> None:
    said = "Access Denied: Project p: User does not have bigquery.jobs.create permission in project p."
    fake.failures = [Failure("POST .*/jobs", 403, "accessDenied", said)]
    with pytest.raises(DataError) as error:
        run()
    assert str(error.value).endswith(f"BigQuery says: {said}")


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("SELECT id,\n  bodyy AS body FROM `p.d.t`", "mine.sql, line 5, column 3: Unrecognized name: bodyy."),
        (
            "SELECT id AS body FROM `p.d.t`\nWHERE id = @n",
            "mine.sql, line 5, column 12: Query parameter 'n' not found.",
        ),
    ],
)
def test_an_sql_error_of_bigquery_names_the_line_of_the_file(
    sql: str, sentence: str, run: Fetch, fake: BigQuery, tmp_path: Path
) -> None:
    fake.load("p.d.t", [{"id": "a", "body": "b"}])
    (tmp_path / "mine.sql").write_text(f"-- What?\n-- Tables:\n--   t  p.d.t  id STRING, body STRING\n{sql}\n")
    with pytest.raises(DataError) as error:
        run(str(tmp_path / "mine.sql"))
    assert str(error.value).endswith(sentence)


def test_a_server_that_is_briefly_unavailable_is_retried(run: Fetch, fake: BigQuery) -> None:
    fake.failures = [Failure("GET .*/queries/", 503), Failure("POST .*/jobs", 503)]
    assert run() == BODIES


def test_conversations_from_bigquery(run: Fetch, fake: BigQuery, out: Path) -> None:
    columns = dict(read_query("conversations").tables[0].columns)
    chain = [
        {"id": f"c{n}", "parent_id": f"t1_c{n - 1}" if n else "t3_x", "author": "ann", "subreddit": "Talk", "score": 3}
        | {"created_utc": FIRST, "body": f"It is turn {n}."}
        for n in range(3)
    ]
    fake.load("talk.reddit.comments_2019_08", chain, columns)
    options = ["comments=talk.reddit.comments_20*", "subreddit=Talk", "last=2019_12"]
    assert run("conversations", param=options) == [{"turns": [f"It is turn {n}." for n in range(3)]}]


@pytest.mark.parametrize("refused", [None, "Permission 'bigquery.readsessions.create' denied"])
def test_a_large_result_is_read_through_the_storage_api_if_allowed(
    refused: str | None, fake: BigQuery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = "SELECT id, score, body, [body, author] AS turns FROM `fh-bigquery.reddit_comments.2019_08`"
    (tmp_path / "mine.sql").write_text(sql)
    query = read_query(str(tmp_path / "mine.sql"))
    journal = Journal(tmp_path / "out.jsonl", {})
    job = BigQueryRows(query, [], agree=lambda _: None, project="p").start_job(journal)
    with storage(fake, refused) as reader, bigquery_errors(query):
        monkeypatch.setattr("google.cloud.bigquery_storage.BigQueryReadClient", lambda: reader)
        add_from_storage(job.result(page_size=PAGE), journal)
    found = [json.loads(line) for line in journal.rows.read_text().splitlines()]
    expected = [
        {"id": row["id"], "score": row["score"], "body": row["body"], "turns": [row["body"], row["author"]]}
        for row in COMMENT_ROWS
    ]
    assert sorted(found, key=lambda row: row["body"]) == sorted(expected, key=lambda row: row["body"])
