"""`fetch` from BigQuery: agreed to before it is billed, billed once, and gone on with after an interruption."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.errors import DataError, SettingError
from finetune.commands.fetch import FetchOptions, fetch
from finetune.fetch.bigquery import PAGE, BigQueryRows, add_from_storage, bigquery_errors, export_statement
from finetune.fetch.bigquery_cost import BillingOptions
from finetune.fetch.journal import Journal
from finetune.fetch.query import read_query
from tests.fakes.bigquery import LEAST_BILLED, BigQuery, Failure, bigquery
from tests.fakes.bigquery.storage import storage
from tests.finetune.fetch.rows import BODIES, COMMENTS, FIRST, Fetch, manifest_of

COLUMNS = read_query("subreddit_comments").tables[0].columns
ROWS = [{name: row[name] for name in COLUMNS} for row in COMMENTS]
MONTH = "fh-bigquery.reddit_comments.2019_08"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BigQuery]:
    with bigquery(tmp_path_factory.mktemp("bucket")) as fake:
        fake.load(MONTH, ROWS, dict(COLUMNS))
        yield fake


@pytest.fixture
def fake(served: BigQuery, monkeypatch: pytest.MonkeyPatch) -> BigQuery:
    served.__dict__ |= {"failures": [], "page_rows": 100_000, "bytes_processed": None}
    served.requests.clear()
    served.jobs.clear()
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", served.address)
    return served


@pytest.fixture
def run(fake: BigQuery, out: Path, vocabulary: Path) -> Fetch:
    def fetched(query: str = "subreddit_comments", **options: Any) -> list[dict[str, Any]]:
        fetch(FetchOptions(query, out, **dict[str, Any](project="p", yes=True, vocabulary=vocabulary) | options))
        return [json.loads(line) for line in out.read_text("utf-8").splitlines()]

    return fetched


def inserted(fake: BigQuery) -> list[dict[str, Any]]:
    """What jobs were asked for, dry runs included."""
    found = [body["configuration"] for method, path, body in fake.requests if (method, path[-5:]) == ("POST", "/jobs")]
    return [configuration["query"] | {"dryRun": configuration.get("dryRun", False)} for configuration in found]


def test_a_query_becomes_a_corpus_after_a_dry_run(
    run: Fetch, fake: BigQuery, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.bytes_processed = 2_000_000_000
    assert run() == BODIES
    assert capsys.readouterr().out.startswith(
        "subreddit_comments reads 2.00 GB, $0.01 at $6.25 a TiB; the first TiB of a month is free.\n"
    )
    first, second = inserted(fake)
    assert (first["dryRun"], second["dryRun"]) == (True, False)
    assert second["maximumBytesBilled"] == str(2_000_000_000 + LEAST_BILLED)
    found = manifest_of(out)
    assert (found["engine"], found["rows"], found["bytes_read"]) == ("bigquery", 20, 2_000_000_000)
    assert found["bytes_billed"] == fake.billed


def test_parameters_go_as_parameters_and_not_into_the_sql(run: Fetch, fake: BigQuery) -> None:
    assert run(param=["pattern=number 2[02]", "least=5"]) == [BODIES[10], BODIES[11]]
    sent = inserted(fake)[1]
    assert "number 2[02]" not in sent["query"]
    given = {
        one["name"]: (one["parameterType"]["type"], one["parameterValue"]["value"]) for one in sent["queryParameters"]
    }
    assert given["pattern"] == ("STRING", "number 2[02]")
    assert given["least"] == ("INT64", "5")
    assert given["share"][0] == "FLOAT64"


def test_without_anybody_to_ask_nothing_is_billed(run: Fetch, fake: BigQuery, out: Path) -> None:
    with pytest.raises(SettingError, match="nobody is there to agree to that cost: add --yes"):
        run(yes=False)
    assert (fake.billed, fake.jobs, out.exists()) == (0, {}, False)


@pytest.mark.parametrize(("answer", "billed"), [("n", False), ("", False), ("y", True), ("Yes", True)])
def test_a_person_is_asked(
    answer: str, billed: bool, run: Fetch, fake: BigQuery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    if billed:
        assert run(yes=False) == BODIES
    else:
        with pytest.raises(SettingError, match="nothing was run, and nothing billed"):
            run(yes=False)
    assert bool(fake.billed) == billed


def test_over_budget_nothing_is_billed(run: Fetch, fake: BigQuery) -> None:
    fake.bytes_processed = 2 * 2**40
    with pytest.raises(SettingError) as error:
        run(budget=10.0)
    assert str(error.value) == (
        "subreddit_comments would read 2,199.02 GB, $12.50 at $6.25 a TiB, and --budget is $10.00: nothing was billed. "
        "Ask for fewer months, or raise --budget."
    )
    assert (fake.billed, fake.jobs) == (0, {})


def test_a_job_that_would_read_more_than_was_agreed_to_is_not_billed(
    run: Fetch, fake: BigQuery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the dry run and the job the table has grown."""
    fake.bytes_processed = 1000
    whole = fake.execute

    def grown(project: str, job: Any, dry: bool) -> None:
        fake.bytes_processed = 1000 if dry else 10**9
        whole(project, job, dry)

    monkeypatch.setattr(fake, "execute", grown)
    with pytest.raises(DataError, match="Query exceeded limit for bytes billed"):
        run()
    assert fake.billed == 0


def test_without_credentials_it_says_how_to_get_them(
    out: Path, vocabulary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BIGQUERY_EMULATOR_HOST", raising=False)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with pytest.raises(SettingError, match="BigQuery needs credentials: run `gcloud auth application-default login`"):
        fetch(FetchOptions("subreddit_comments", out, project="p", vocabulary=vocabulary))


def test_without_a_project_it_says_so(run: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with pytest.raises(SettingError, match="BigQuery needs a project to bill: name yours with --project"):
        run(project=None)


def test_another_table_takes_the_place_of_the_usual_one(run: Fetch, fake: BigQuery) -> None:
    fake.load("mine.reddit.20_2019", [], dict(COLUMNS))
    fake.load("mine.reddit.comments_2019_08", ROWS, dict(COLUMNS))
    assert run(param=["comments=mine.reddit.comments_20*"]) == BODIES
    with pytest.raises(SettingError, match=r"--param comments is 'mine.reddit.c', and should end in 20\*"):
        run(param=["comments=mine.reddit.c"])
    with pytest.raises(SettingError, match=r"--param comments is 'a b', and should be a table: project.dataset.table"):
        run(param=["comments=a b"])


def test_a_table_that_is_not_there_is_said_with_a_way_out(run: Fetch, fake: BigQuery) -> None:
    with pytest.raises(DataError) as error:
        run(param=["comments=mine.nowhere.comments_20*"])
    said = str(error.value)
    assert "BigQuery says: mine:nowhere.comments_20* does not match any table" in said
    assert said.endswith("; name another table with --param comments=….")
    assert fake.billed == 0


def test_no_access_is_said(run: Fetch, fake: BigQuery) -> None:
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
def test_what_bigquery_says_against_a_query_comes_with_the_files_line(
    sql: str, sentence: str, run: Fetch, fake: BigQuery, tmp_path: Path
) -> None:
    fake.load("p.d.t", [{"id": "a", "body": "b"}])
    (tmp_path / "mine.sql").write_text(f"-- What?\n-- Tables:\n--   t  p.d.t  id STRING, body STRING\n{sql}\n")
    with pytest.raises(DataError) as error:
        run(str(tmp_path / "mine.sql"))
    assert str(error.value).endswith(sentence)


@pytest.mark.parametrize("pages", [1, 2, 3])
def test_what_was_interrupted_goes_on_and_is_billed_once(
    pages: int, run: Fetch, fake: BigQuery, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("finetune.fetch.bigquery.PAGE", 6)
    fake.failures = [Failure("GET .*/queries/", 403, "accessDenied", "Your token has expired.", after=pages)]
    with pytest.raises(DataError, match="Your token has expired"):
        run()
    assert fake.failures[0].times == 0
    billed = fake.billed
    capsys.readouterr()
    assert run() == BODIES
    assert "which is not billed again" in capsys.readouterr().out
    assert fake.billed == billed > 0
    assert len(fake.jobs) == 1


def test_a_job_that_bigquery_has_forgotten_runs_again(run: Fetch, fake: BigQuery) -> None:
    fake.failures = [Failure("GET .*/queries/", 403, "accessDenied", "Your token has expired.")]
    with pytest.raises(DataError, match="Your token has expired"):
        run()
    fake.jobs.clear()
    assert run() == BODIES


def test_what_is_unavailable_for_a_moment_is_asked_again(run: Fetch, fake: BigQuery) -> None:
    fake.failures = [Failure("GET .*/queries/", 503), Failure("POST .*/jobs", 503)]
    assert run() == BODIES


def test_a_large_result_goes_to_a_bucket_and_comes_back_as_lines(
    fake: BigQuery, out: Path, vocabulary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = "gs://bucket/aita/part-*.jsonl"
    fetch(FetchOptions("subreddit_comments", project="p", yes=True, export=address))
    printed = capsys.readouterr().out
    assert f"gcloud storage cp '{address}' exported/" in printed
    assert "python -m finetune fetch jsonl --source exported --out FILE.jsonl" in printed
    assert fake.bucket is not None
    fetch(FetchOptions("jsonl", out, source=[str(fake.bucket / "bucket/aita")], vocabulary=vocabulary))
    assert [json.loads(line) for line in out.read_text().splitlines()] == BODIES


def test_an_export_is_agreed_to_as_well(fake: BigQuery) -> None:
    with pytest.raises(SettingError, match="add --yes"):
        fetch(FetchOptions("subreddit_comments", project="p", export="gs://bucket/part-*.jsonl"))
    assert fake.billed == 0
    for address in (
        "bucket/part-*.jsonl",
        "gs://bucket/part.jsonl",
        "gs://b/*.parquet.gz",
        "gs://b/*'x.jsonl",
        "gs://b/*.csv",
    ):
        with pytest.raises(SettingError, match=r"--export is .*, and should be an address with one"):
            fetch(FetchOptions("subreddit_comments", project="p", yes=True, export=address))
    with pytest.raises(SettingError, match="--out is given, and BigQuery writes to --export by itself: leave it out"):
        fetch(
            FetchOptions(
                "subreddit_comments", Path("a.jsonl"), project="p", yes=True, export="gs://bucket/part-*.jsonl"
            )
        )


@pytest.mark.parametrize(
    ("address", "options"),
    [
        ("gs://b/p-*.jsonl", "(uri = 'gs://b/p-*.jsonl', format = 'JSON')"),
        ("gs://b/p-*.jsonl.gz", "(uri = 'gs://b/p-*.jsonl.gz', format = 'JSON', compression = 'GZIP')"),
        ("gs://b/x/*.parquet", "(uri = 'gs://b/x/*.parquet', format = 'PARQUET')"),
    ],
)
def test_an_export_is_written_as_its_name_says(address: str, options: str) -> None:
    assert export_statement(address) == f"EXPORT DATA OPTIONS {options}"


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
def test_a_large_result_comes_through_storage_where_that_is_allowed(
    refused: str | None, fake: BigQuery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = "SELECT id, score, body, [body, author] AS turns FROM `fh-bigquery.reddit_comments.2019_08`"
    (tmp_path / "mine.sql").write_text(sql)
    query = read_query(str(tmp_path / "mine.sql"))
    journal = Journal(tmp_path / "out.jsonl", {})
    job = BigQueryRows(query, [], BillingOptions("p", yes=True)).start_job(journal)
    with storage(fake, refused) as reader, bigquery_errors(query):
        monkeypatch.setattr("google.cloud.bigquery_storage.BigQueryReadClient", lambda: reader)
        add_from_storage(job.result(page_size=PAGE), journal)
    found = [json.loads(line) for line in journal.rows.read_text().splitlines()]
    expected = [
        {"id": row["id"], "score": row["score"], "body": row["body"], "turns": [row["body"], row["author"]]}
        for row in ROWS
    ]
    assert sorted(found, key=lambda row: row["body"]) == sorted(expected, key=lambda row: row["body"])
