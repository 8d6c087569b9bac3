"""A corpus: rows fetched, cleaned and written to a file, with a manifest of their origin.

    NAME.jsonl                  a document a line: {"body": …} or {"turns": […]}, with a "meta" or without
    NAME.jsonl.manifest.json    what was asked of what, how much there was, what was dropped and why

With .parquet the same is in columns. If a query returns neither body nor turns, its rows are written as they are.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from app.errors import DataError, SettingError
from finetune.data.input_files import InputFile
from finetune.fetch.cleaning import Cleaner, CleaningReport
from finetune.fetch.duckdb_session import LARGEST_ROW, interruptions, runtime_errors
from finetune.fetch.dumps import Dump
from finetune.fetch.guardrails import GuardrailOptions
from finetune.fetch.journal import Journal
from finetune.fetch.row_source import RowSource
from finetune.progress_bar import progress_bar
from finetune.readable_json import readable_json

FORMAT = 1
BLOCK = 2**27
"""Bytes of rows that are cleaned at a time: enough for DuckDB to use all cores."""


def fetch_corpus(
    source: RowSource, out: Path, guardrails: GuardrailOptions, memory: str, notify: Callable[[str], object]
) -> dict[str, Any]:
    """Fetch, clean and write a corpus, resuming after an interruption. Returns its manifest.

    `memory` is what DuckDB may use before it spills to disk, such as 1GB; `notify` is the journal's. Raises SettingError or
    DataError.
    """
    refuse_overwriting(out)
    guardrails.check(source.expected_columns())
    journal = Journal(out, source.request(), notify)
    with interruptions(), journal.plainly_named():
        if "columns" not in journal.state:
            rows = source.fetch(journal)
            journal.keep(origin=rows.origin, columns=list(rows.columns))
        return write_corpus(out, journal, guardrails, memory)


def manifest_path(out: Path) -> Path:
    return out.with_name(f"{out.name}.manifest.json")


def refuse_overwriting(out: Path) -> None:
    """Only a corpus is ever overwritten. Raises SettingError."""
    if out.suffix not in (".jsonl", ".parquet"):
        raise SettingError(f"--out is {out}, and should end in .jsonl or .parquet.")
    if out.exists() and not manifest_path(out).is_file():
        raise SettingError(f"--out is {out}, which exists and was not fetched: name a new file.")


def write_corpus(out: Path, journal: Journal, guardrails: GuardrailOptions, memory: str) -> dict[str, Any]:
    """Clean the journal's rows into `out`, and write its manifest. Raises DataError if nothing is left."""
    if not journal.rows.stat().st_size:
        journal.remove()
        raise DataError("no row matches what was asked for: check the parameters.")
    columns = journal.state["columns"]
    written = journal.folder / "corpus.jsonl"
    if is_corpus := bool({"body", "turns"} & set(columns)):
        refuse_min_score(guardrails, columns)
        report = clean(journal, guardrails, columns, memory, written)
        refuse_empty(report)
    else:
        refuse_guardrails(guardrails)
        shutil.copyfile(journal.rows, written)
        report = CleaningReport(read=(rows := journal.count_rows()), kept=rows)
    if out.suffix == ".parquet":
        written = as_parquet(written)
    manifest = manifest_of(journal.state["origin"], report, guardrails if is_corpus else None, written)
    place(out, written, manifest, journal)
    return manifest


def manifest_of(
    origin: Mapping[str, Any], report: CleaningReport, guardrails: GuardrailOptions | None, written: Path
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        **origin,
        "rows": report.read,
        "kept": report.kept,
        "dropped": dict(report.dropped),
        "cut": dict(report.cut),
        "replaced": report.replaced,
        "guardrails": guardrail_settings(guardrails) if guardrails else None,
        "bytes": written.stat().st_size,
        "sha256": sha256_of(written),
        "made": made_with(),
    }


def place(out: Path, written: Path, manifest: Mapping[str, Any], journal: Journal) -> None:
    """Move the finished corpus and its manifest to where they belong, each atomically, and remove the journal."""
    aside = journal.folder / "manifest.json"
    aside.write_bytes(readable_json(manifest))
    out.parent.mkdir(parents=True, exist_ok=True)
    written.replace(out)
    aside.replace(manifest_path(out))
    journal.remove()


def clean(
    journal: Journal, guardrails: GuardrailOptions, columns: Collection[str], memory: str, out: Path
) -> CleaningReport:
    """Write what the guardrails keep of the journal's rows to `out`. Raises DataError if `memory` is too little."""
    part = journal.folder / "part.jsonl"
    with (
        runtime_errors("cleaning", memory),
        closing(Cleaner(guardrails, columns, journal.folder, memory)) as cleaner,
        out.open("wb") as file,
        progress_bar("clean", journal.rows.stat().st_size, "B") as progress,
    ):
        for block, _ in Dump(InputFile(journal.rows, "jsonl"), progress.update, BLOCK).blocks(journal.folder):
            cleaner.clean(block, part)
            with part.open("rb") as lines:
                shutil.copyfileobj(lines, file)
        return cleaner.report


def refuse_min_score(guardrails: GuardrailOptions, columns: Collection[str]) -> None:
    if guardrails.min_score != GuardrailOptions.min_score and not {"score", "scores"} & set(columns):
        raise SettingError("--min-score is given, and what was fetched has no score: leave it out.")


def refuse_guardrails(guardrails: GuardrailOptions) -> None:
    if replace(guardrails, vocabulary=GuardrailOptions.vocabulary) != GuardrailOptions():
        raise SettingError(
            "the query returns neither body nor turns, so there is nothing to clean: leave the guardrails' options out."
        )


def refuse_empty(report: CleaningReport) -> None:
    if not report.kept:
        dropped = ", ".join(f"{name} {count:,}" for name, count in report.dropped.most_common())
        raise DataError(f"nothing is left of {report.read:,} documents ({dropped}): see --without.")


def as_parquet(lines: Path) -> Path:
    """A file of JSON lines as a .parquet file beside it."""
    written = lines.with_suffix(".parquet")
    with duckdb.connect() as connection:
        connection.execute(
            f"""COPY (SELECT * FROM read_json(?, format = 'newline_delimited', maximum_object_size = {LARGEST_ROW}))
            TO ? (FORMAT parquet)""",
            [str(lines), str(written)],
        ).fetchall()
    return written


def guardrail_settings(guardrails: GuardrailOptions) -> dict[str, Any]:
    """The guardrails as the manifest has them."""
    return {
        "filters": guardrails.names,
        "min_tokens": guardrails.min_tokens,
        "max_tokens": guardrails.max_tokens,
        "min_score": guardrails.min_score,
        "blocklist": guardrails.blocklist and sha256_of(guardrails.blocklist),
    }


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def made_with() -> dict[str, str]:
    """When the corpus was made, and the versions of the libraries that run queries."""
    versions = {library: importlib.metadata.version(library) for library in ("duckdb", "sqlglot")}
    return {"at": datetime.now(UTC).isoformat(timespec="seconds")} | versions
