"""Nothing is billed on BigQuery without consent, over the budget, or twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.errors import DataError, SettingError
from finetune.commands.fetch import FetchOptions, fetch
from finetune.fetch.bigquery import export_statement
from tests.fakes.bigquery import LEAST_BILLED, BigQuery, Failure
from tests.finetune.fetch.rows import BODIES, Fetch, manifest_of, query_jobs


def test_a_query_becomes_a_corpus_after_a_dry_run(
    run: Fetch, fake: BigQuery, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.bytes_processed = 2_000_000_000
    assert run() == BODIES
    assert capsys.readouterr().out.startswith(
        "subreddit_comments reads 2.00 GB, $0.01 at $6.25 a TiB; the first TiB of a month is free.\n"
    )
    first, second = query_jobs(fake)
    assert (first["dryRun"], second["dryRun"]) == (True, False)
    assert second["maximumBytesBilled"] == str(2_000_000_000 + LEAST_BILLED)
    found = manifest_of(out)
    assert (found["engine"], found["rows"], found["bytes_read"]) == ("bigquery", 20, 2_000_000_000)
    assert found["bytes_billed"] == fake.billed


def test_nothing_is_billed_without_consent(run: Fetch, fake: BigQuery, out: Path) -> None:
    with pytest.raises(SettingError, match="nobody is there to agree to that cost: add --yes"):
        run(yes=False)
    assert (fake.billed, fake.jobs, out.exists()) == (0, {}, False)


@pytest.mark.parametrize(("answer", "billed"), [("n", False), ("", False), ("y", True), ("Yes", True)])
def test_a_person_is_asked_for_consent(
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


def test_nothing_is_billed_over_the_budget(run: Fetch, fake: BigQuery) -> None:
    fake.bytes_processed = 2 * 2**40
    with pytest.raises(SettingError) as error:
        run(budget=10.0)
    assert str(error.value) == (
        "subreddit_comments would read 2,199.02 GB, $12.50 at $6.25 a TiB, and --budget is $10.00: nothing was billed. "
        "Ask for fewer months, or raise --budget."
    )
    assert (fake.billed, fake.jobs) == (0, {})


def test_a_job_that_reads_more_than_was_agreed_to_is_not_billed(
    run: Fetch, fake: BigQuery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table may grow between the dry run and the job."""
    fake.bytes_processed = 1000
    whole = fake.execute

    def grown(project: str, job: Any, dry: bool) -> None:
        fake.bytes_processed = 1000 if dry else 10**9
        whole(project, job, dry)

    monkeypatch.setattr(fake, "execute", grown)
    with pytest.raises(DataError, match="Query exceeded limit for bytes billed"):
        run()
    assert fake.billed == 0


@pytest.mark.parametrize("pages", [1, 2, 3])
def test_an_interrupted_fetch_resumes_and_is_billed_once(
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


def test_an_exported_result_can_be_fetched_from_its_files(
    fake: BigQuery, out: Path, vocabulary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = "gs://bucket/aita/part-*.jsonl"
    fetch(FetchOptions("subreddit_comments", project="p", yes=True, export=address))
    printed = capsys.readouterr().out
    assert f"gcloud storage cp '{address}' exported/" in printed
    assert "python -m finetune fetch jsonl --source exported --out FILE.jsonl" in printed
    assert fake.bucket is not None
    fetch(FetchOptions("jsonl", out=out, source=[str(fake.bucket / "bucket/aita")], vocabulary=vocabulary))
    assert [json.loads(line) for line in out.read_text().splitlines()] == BODIES


def test_an_export_needs_consent_and_a_valid_address(fake: BigQuery) -> None:
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
    with pytest.raises(
        SettingError, match="--out is given, and with --export BigQuery reads its own tables and writes"
    ):
        fetch(
            FetchOptions(
                "subreddit_comments", out=Path("a.jsonl"), project="p", yes=True, export="gs://bucket/part-*.jsonl"
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
def test_the_format_of_an_export_follows_its_name(address: str, options: str) -> None:
    assert export_statement(address) == f"EXPORT DATA OPTIONS {options}"
