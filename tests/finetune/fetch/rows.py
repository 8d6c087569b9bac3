"""Rows that tests of fetch read, and files of every kind to read them from."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import zstandard

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


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def manifest_of(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(out.with_name(f"{out.name}.manifest.json").read_text())
    return found


def write(path: Path, rows: list[dict[str, Any]] = COMMENTS) -> Path:
    """Rows as the kind of file that the name says."""
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
            read = f"read_json('{path.with_suffix('.lines')}', format = 'newline_delimited')"
            duckdb.execute(f"COPY (SELECT * FROM {read}) TO '{path}' (FORMAT parquet)").fetchall()
        case _:
            path.write_bytes(lines(rows))
    return path
