"""The verb `fetch`: its command line, and one sentence for each wrong option."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.errors import SettingError
from finetune.__main__ import main
from finetune.commands.fetch import FetchOptions, choose_mode, fetch, refuse_other_options
from finetune.option_ranges import option
from tests.finetune.fetch.rows import Fetch, manifest_of, write
from tests.finetune.votes.polls import fill, votes


def test_the_command_line(tmp_path: Path, vocabulary: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = write(tmp_path / "RC_2019-08.zst"), tmp_path / "out.jsonl"
    command = ["fetch", "subreddit_comments", "--source", str(path), "--out", str(out), "--vocabulary", str(vocabulary)]
    given = ["--param", "subreddit=AmItheAsshole", "--param", "pattern=(?i)YTA", "least=2", "--without", "quote,link"]
    assert main([*command, *given]) == 0
    assert capsys.readouterr().out == f"{out}: 20 rows found, 20 kept\n"
    assert manifest_of(out)["parameters"]["least"] == 2
    assert main(["fetch", "subreddit_comments", "--source", str(path)]) == 2
    assert capsys.readouterr().err == "error: --out is missing: name the corpus to write, such as corpora/NAME.jsonl.\n"
    assert main(["fetch", "jokes", "--source", str(path), "--out", str(tmp_path / "out.txt")]) == 2
    assert capsys.readouterr().err.endswith("out.txt, and should end in .jsonl or .parquet.\n")


@pytest.mark.parametrize(
    ("query", "options", "sentence"),
    [
        (
            "subreddit",
            {},
            "subreddit is no query: name a .sql file, or one of conversations, corpus_statistics, guesses_summary, jokes,",
        ),
        (
            "subreddit_comments",
            {"param": ["subredit=x"]},
            "has no parameter 'subredit'; it has subreddit, pattern, first,",
        ),
        ("subreddit_comments", {"param": ["subreddit"]}, "--param is 'subreddit', and should be name=value."),
        ("subreddit_comments", {"param": ["least=1", "least=2"]}, "--param least is given twice."),
        ("subreddit_comments", {"param": ["least=many"]}, "--param least is 'many', and should be a whole number."),
        ("subreddit_comments", {"param": ["share=nan"]}, "--param share is 'nan', and should be a number."),
        ("subreddit_comments", {"project": "p"}, "--project is given, and a query on files does not ask BigQuery"),
        ("subreddit_comments", {"budget": 5.0}, "--budget is given, and a query on files does not ask BigQuery"),
        ("subreddit_comments", {"budget": -1.0}, "--budget is -1.0, and should be dollars."),
        ("subreddit_comments", {"memory": "much"}, "--memory is 'much', and should be a size such as 1GB."),
        ("subreddit_comments", {"engine": "bigquery"}, "--source is given, and a query on BigQuery reads no files"),
        ("subreddit_comments", {"without": "links"}, "--without is 'links', and should be some of deleted,"),
        ("ratings_summary", {}, "and should name its table: texts=… or votes=…."),
        ("csv", {}, "fetch csv needs --param body=COLUMN, or --param question=COLUMN and --param answer=COLUMN."),
        ("csv", {"engine": "duckdb"}, "--engine is given, and fetch csv runs no query: leave it out."),
        (
            "reddit",
            {"param": ["subreddit=x"]},
            "--source is given, and fetch reddit runs no query and reads no files",
        ),
    ],
)
def test_a_wrong_option_is_refused(
    query: str, options: dict[str, Any], sentence: str, run: Fetch, tmp_path: Path
) -> None:
    with pytest.raises(SettingError) as error:
        run(query, write(tmp_path / "all.csv"), **options)
    assert sentence in str(error.value)


def test_ratings_are_fetched_into_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, out = fill(f"sqlite:///{tmp_path}/feedback.db", votes("a", 3, 1)), tmp_path / "liked"
    for _ in range(2):
        fetch(FetchOptions("ratings", out=out, source=[store], param=["minimum=1"]))
        assert (out / "liked.jsonl").read_text() == '{"body":"text"}\n' * 3
        assert capsys.readouterr().out == f"{out}: 4 texts with votes, 3 liked, 3 pairs\n"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").touch()
    with pytest.raises(SettingError, match=r"--out is .+mine, which exists and is not fetched ratings: name a new"):
        fetch(FetchOptions("ratings", out=tmp_path / "mine", source=[store]))
    for options, sentence in (
        ({"source": []}, "fetch ratings reads one store into a folder"),
        (
            {"source": [store], "min_tokens": 5},
            "--min-tokens is given, and ratings are taken as they are: leave it out",
        ),
        ({"source": [store], "param": ["minimum=0"]}, "--param minimum is '0', and should be 1 or more"),
        ({"source": [store], "param": ["least=2"]}, "fetch ratings has no parameter 'least'; it has minimum"),
    ):
        with pytest.raises(SettingError, match=sentence):
            fetch(FetchOptions("ratings", out=out, **options))


GIVEN: dict[str, Any] = {
    "out": Path("out.jsonl"), "engine": "bigquery", "source": ["a.jsonl"], "project": "p", "location": "EU", "budget": 5.0,
    "yes": True, "export": "gs://bucket/part-*.jsonl", "without": "link", "min_tokens": 5, "max_tokens": 6, "min_score": 7,
    "blocklist": Path("words.txt"),
}  # fmt: skip
FILTERS = {"without", "min_tokens", "max_tokens", "min_score", "blocklist"}
BILLING = {"project", "location", "budget", "yes"}


@pytest.mark.parametrize(
    ("query", "given", "refused"),
    [
        ("ratings", {}, {"engine", "export"} | BILLING | FILTERS),
        ("reddit", {}, {"engine", "source", "export"} | BILLING),
        ("csv", {}, {"engine", "export"} | BILLING),
        ("jsonl", {}, {"engine", "export"} | BILLING),
        ("jokes", {"source": ["a.jsonl"]}, {"export"} | BILLING),
        ("jokes", {"engine": "duckdb"}, {"export"} | BILLING),
        ("jokes", {"engine": "bigquery"}, {"source"}),
        ("jokes", {"export": GIVEN["export"]}, {"out"} | FILTERS),
    ],
)
def test_each_mode_refuses_the_options_of_the_others(query: str, given: dict[str, Any], refused: set[str]) -> None:
    mode = choose_mode(FetchOptions(query, **given))
    assert {*GIVEN} - {*mode.takes} >= refused
    for name in refused:
        with pytest.raises(SettingError, match=f"^{option(name)} is given, and .+: leave it out\\.$"):
            fetch(FetchOptions(query, **{**given, name: GIVEN[name]}))
    for name in {*GIVEN} - refused - {"engine", "source", "export"}:
        refuse_other_options(FetchOptions(query, **{**given, name: GIVEN[name]}), mode)
