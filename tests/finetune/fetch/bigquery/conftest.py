"""A fake BigQuery with a month of comments, and a fetch from it that returns the corpus."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from finetune.commands.fetch import FetchOptions, fetch
from tests.fakes.bigquery import BigQuery, bigquery
from tests.finetune.fetch.rows import COLUMNS, COMMENT_ROWS, MONTH, Fetch


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BigQuery]:
    with bigquery(tmp_path_factory.mktemp("bucket")) as fake:
        fake.load(MONTH, COMMENT_ROWS, dict(COLUMNS))
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
        fetch(FetchOptions(query, out=out, **dict[str, Any](project="p", yes=True, vocabulary=vocabulary) | options))
        return [json.loads(line) for line in out.read_text("utf-8").splitlines()]

    return fetched
