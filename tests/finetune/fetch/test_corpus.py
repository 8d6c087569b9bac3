"""A corpus has a manifest, overwrites nothing but a corpus, and can be prepared."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import duckdb
import pytest

from app.errors import DataError, SettingError
from finetune.commands.fetch import FetchOptions, fetch
from finetune.commands.prepare import prepare
from finetune.data.prepared import open_data, texts_of
from finetune.fetch.journal import Journal
from tests.finetune.fetch.rows import BODIES, COMMENTS, Fetch, comment, manifest_of, write


def test_the_manifest_records_the_request_and_the_counts(run: Fetch, out: Path, tmp_path: Path) -> None:
    rows = [*COMMENTS, comment(90, body="YTA, see https://a.example"), comment(91, body="YTA, and that is u/bob.")]
    path = write(tmp_path / "RC_2019-08.zst", rows)
    run("subreddit_comments", path, param=["pattern=YTA"])
    found = manifest_of(out)
    assert (found["query"], found["engine"], found["sources"]) == ("subreddit_comments", "duckdb", [str(path)])
    assert found["parameters"] == {
        "subreddit": "AmItheAsshole", "pattern": "YTA", "first": "2019_01", "last": "2019_12", "least": 1, "share": 1.0,
    }  # fmt: skip
    assert (found["lines"], found["rows"], found["kept"], found["dropped"]) == (42, 22, 21, {"link": 1})
    assert (found["corrupt"], found["incomplete"], found["replaced"]) == (0, {}, 1)
    assert found["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert [path.name for path in sorted(out.parent.iterdir())] == ["out.jsonl", "out.jsonl.manifest.json"]


def test_a_corpus_can_be_prepared(run: Fetch, out: Path, vocabulary: Path, tmp_path: Path) -> None:
    run("subreddit_comments", write(tmp_path / "RC_2019-08.zst"))
    prepare([str(out)], out=tmp_path / "data", vocabulary=vocabulary, validation=0, near_duplicates=0)
    assert [{"body": text} for text in texts_of(open_data(tmp_path / "data"), "train")] == BODIES


def test_the_journal_of_another_fetch_is_discarded(run: Fetch, out: Path, tmp_path: Path) -> None:
    journal = Journal(out, {"query": "other"})
    journal.keep(origin={"query": "other"})
    journal.rows.write_text('{"body": "This is another."}\n')
    assert run("subreddit_comments", write(tmp_path / "a.jsonl")) == BODIES


def test_rows_without_text_are_written_unchanged(run: Fetch, out: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "RC_2019-08.zst")
    (row,) = run("corpus_statistics", path, vocabulary=tmp_path / "none")
    assert (row["month"], row["comments"]) == ("2019-08", 20)
    assert manifest_of(out)["guardrails"] is None
    with pytest.raises(SettingError, match="returns neither body nor turns, so there is nothing to clean"):
        run("corpus_statistics", path, without="link")


def test_a_corpus_can_be_parquet(run: Fetch, tmp_path: Path, vocabulary: Path) -> None:
    path, out = write(tmp_path / "a.jsonl"), tmp_path / "out.parquet"
    fetch(FetchOptions("subreddit_comments", out=out, source=[str(path)], vocabulary=vocabulary))
    assert [{"body": body} for (body,) in duckdb.execute(f"SELECT body FROM '{out}'").fetchall()] == BODIES


def test_an_empty_result_is_refused(run: Fetch, out: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl")
    with pytest.raises(DataError, match="no row matches what was asked for"):
        run("subreddit_comments", path, param=["subreddit=Nowhere"])
    with pytest.raises(DataError, match=r"nothing is left of 20 documents \(score 20\): see --without"):
        run("subreddit_comments", path, min_score=6)
    assert not out.exists()


def test_min_score_needs_a_score(run: Fetch, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\nIt is good.\n")
    with pytest.raises(SettingError, match="--min-score is given, and what was fetched has no score: leave it out"):
        run("csv", tmp_path / "a.csv", param=["body=text"], min_score=3)


def test_a_file_that_was_not_fetched_is_never_overwritten(run: Fetch, out: Path, tmp_path: Path) -> None:
    out.parent.mkdir()
    out.write_text("mine")
    with pytest.raises(SettingError, match="which exists and was not fetched: name a new file"):
        run("subreddit_comments", write(tmp_path / "a.jsonl"))
    assert out.read_text() == "mine"


def test_a_missing_vocabulary_names_options_of_fetch(tmp_path: Path) -> None:
    """The message once named an option of `prepare`."""
    (tmp_path / "text.jsonl").write_text('{"body": "It was the best of times and the worst of them."}\n')
    options: dict[str, Any] = {"source": [str(tmp_path / "text.jsonl")], "vocabulary": tmp_path / "none"}
    with pytest.raises(DataError, match=r"encoder\.json is missing: .+, and --without short,long counts no tokens\.$"):
        fetch(FetchOptions("jsonl", out=tmp_path / "out.jsonl", **options))
    fetch(FetchOptions("jsonl", out=tmp_path / "out.jsonl", without="short,long", **options))
    assert (tmp_path / "out.jsonl").read_text().count("\n") == 1


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
def test_paths_may_have_quotes(name: str, tmp_path: Path, vocabulary: Path) -> None:
    """Paths were once put into SQL unescaped, so a folder with an apostrophe caused a syntax error."""
    folder = tmp_path / 'it\'s "mine"'
    folder.mkdir()
    path = write(folder / name)
    for query, out in (("subreddit_comments", "out.jsonl"), ("csv" if name != "a.jsonl" else "jsonl", "out.parquet")):
        param = ["body=body"] if query == "csv" else []
        fetch(FetchOptions(query, out=folder / out, source=[str(path)], param=param, vocabulary=vocabulary))
        assert (folder / out).is_file()
