"""Every query of bq_queries/ returns the rows that tests/queries/NAME.yaml expects, on BigQuery and on files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from finetune.fetch.bigquery import BigQueryRows
from finetune.fetch.file_query import FileQueryRows
from finetune.fetch.journal import Journal
from finetune.fetch.query import Query, Table, query_names, read_query
from tests.conftest import ROOT
from tests.fakes.bigquery import BigQuery, bigquery

CASES = [
    pytest.param(name, case, id=f"{name}: {case['claim']}")
    for name in query_names()
    for case in yaml.safe_load((ROOT / f"tests/queries/{name}.yaml").read_text(encoding="utf-8"))
]
COMMENT = {
    "id": "x", "parent_id": "t3_x", "author": "ann", "created_utc": 1546300800, "score": 5, "body": "Yes.",
    "subreddit": "AmItheAsshole",
}  # fmt: skip
POST = {"id": "x", "author": "ann", "subreddit": "Jokes", "created_utc": 1546300800, "score": 50}
# The values of columns that a case does not mention.
USUAL: dict[str, dict[str, Any]] = {"comments": COMMENT, "posts": POST}


@pytest.fixture(scope="module")
def served() -> Iterator[BigQuery]:
    with bigquery() as fake:
        yield fake


def rows_of(query: Query, table: Table, case: dict[str, Any]) -> list[dict[str, Any]]:
    subreddit = next((p.default for p in query.parameters if p.name == "subreddit"), None)
    usual = USUAL.get(table.name, {}) | ({"subreddit": subreddit} if subreddit else {})
    return [{name: (usual | row)[name] for name in table.columns} for row in case[table.name]]


def load(fake: BigQuery, table: Table, rows: list[dict[str, Any]]) -> None:
    """Load rows into the table, or into the monthly tables that its wildcard matches."""
    if not table.address.endswith("*"):
        fake.load(table.address, rows, dict(table.columns))
        return
    dataset = table.address.rpartition(".")[0]
    months: dict[str, list[dict[str, Any]]] = {"2018_12": [], "2019_01": []}
    for row in rows:
        months.setdefault(datetime.fromtimestamp(row["created_utc"], UTC).strftime("%Y_%m"), []).append(row)
    for month, monthly in months.items():
        fake.load(f"{dataset}.{month}", monthly, dict(table.columns))


def forget(fake: BigQuery, table: Table) -> None:
    dataset = table.address.rpartition(".")[0]
    for name in fake.names(dataset):
        fake.run_sql(f'DROP TABLE "{dataset}"."{name}"')


def in_order(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True, ensure_ascii=False) for row in rows)


def read(journal: Journal) -> list[dict[str, Any]]:
    return [json.loads(line) for line in journal.rows.read_text("utf-8").splitlines()] if journal.rows.exists() else []


@pytest.mark.parametrize(("name", "case"), CASES)
def test_both_engines_return_the_expected_rows(
    name: str, case: dict[str, Any], served: BigQuery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", served.address)
    query = read_query(name)
    param = [f"{key}={value}" for key, value in case.get("parameters", {}).items()]
    sources = []
    for table in query.tables:
        forget(served, table)
    for table in query.tables:
        rows = rows_of(query, table, case)
        load(served, table, rows)
        path = tmp_path / f"{table.name}.jsonl"
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
        sources.append(f"{table.name}={path}")
    here = Journal(tmp_path / "here.jsonl", {})
    FileQueryRows(query, sources, param, "500MB").fetch(here)
    there = Journal(tmp_path / "there.jsonl", {})
    BigQueryRows(query, param, agree=lambda _: None, project="p").fetch(there)
    assert in_order(read(there)) == in_order(read(here)) == in_order(case["expected"])


def test_every_query_has_cases_and_a_documented_header() -> None:
    for name in query_names():
        query = read_query(name)
        first = query.text.splitlines()[0]
        assert first.startswith("-- ")
        assert "?" in first
        for section in ("-- Parameters:", "-- Tables:", "-- Result: ", "-- Cost: "):
            assert f"\n{section}" in query.text
        for parameter in query.parameters:
            assert f"@{parameter.name}" in query.text.split("-- Cost:")[1]
