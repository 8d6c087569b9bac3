"""Comments for the tests of fetch, files of every kind that hold them, and readers of what fetch writes."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import zstandard

from finetune.fetch.query import read_query
from tests.fakes.bigquery import BigQuery

Fetch = Callable[..., list[dict[str, Any]]]
FIRST = 1564617600
"""The beginning of August 2019."""


def comment(number: int, **changes: Any) -> dict[str, Any]:
    usual = {
        "id": f"c{number}", "parent_id": "t3_x", "author": "ann", "subreddit": "AmItheAsshole", "created_utc": FIRST + number,
        "score": 5, "body": f"YTA, and this is why, number {number}.", "edited": False,
    }  # fmt: skip
    return usual | changes


COMMENTS = [comment(number, subreddit=["AmItheAsshole", "Jokes"][number % 2]) for number in range(40)]
BODIES = [{"body": row["body"]} for row in COMMENTS[::2]]
COLUMNS = read_query("subreddit_comments").tables[0].columns
COMMENT_ROWS = [{name: row[name] for name in COLUMNS} for row in COMMENTS]
"""The comments as BigQuery has them."""
MONTH = "fh-bigquery.reddit_comments.2019_08"


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def manifest_of(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(out.with_name(f"{out.name}.manifest.json").read_text())
    return found


def write(path: Path, rows: list[dict[str, Any]] = COMMENTS) -> Path:
    """Write rows as the kind of file that the suffix names."""
    match path.suffix:
        case ".zst":
            path.write_bytes(zstandard.compress(lines(rows)))
        case ".gz":
            path.write_bytes(gzip.compress(lines(rows)))
        case ".csv":
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, rows[0])
                writer.writeheader()
                writer.writerows(rows)
        case ".parquet":
            (path.with_suffix(".lines")).write_bytes(lines(rows))
            duckdb.read_json(str(path.with_suffix(".lines")), format="newline_delimited").write_parquet(str(path))
        case _:
            path.write_bytes(lines(rows))
    return path


def query_jobs(fake: BigQuery) -> list[dict[str, Any]]:
    """The query jobs that a BigQuery was asked for, dry runs included."""
    found = [body["configuration"] for method, path, body in fake.requests if (method, path[-5:]) == ("POST", "/jobs")]
    return [configuration["query"] | {"dryRun": configuration.get("dryRun", False)} for configuration in found]
