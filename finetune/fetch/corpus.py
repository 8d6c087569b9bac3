"""The file that a fetch writes: cleaned documents for `prepare`, and beside it a manifest that says where they come from.

    NAME.jsonl                  a document a line: {"body": …} or {"turns": […]}, with a "meta" or without
    NAME.jsonl.manifest.json    what was asked of what, how much there was, what was dropped and why

A file that ends in .parquet has the same in columns. A query that gives neither body nor turns is no corpus: its rows are
written as they are.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from app.errors import DataError, SettingError
from finetune.fetch.cleaning import Cleaner, Guardrails, Report, columns_of
from finetune.fetch.journal import Journal
from finetune.progress_bar import progress_bar

FORMAT = 1
BLOCK = 2**27
"""Bytes of rows that are cleaned at a time: enough for DuckDB to share among the cores."""


def manifest_of(out: Path) -> Path:
    return out.with_name(f"{out.name}.manifest.json")


def refuse_overwriting(out: Path) -> None:
    """Nobody's file is lost to a slip of the keyboard."""
    if out.suffix not in (".jsonl", ".parquet"):
        raise SettingError(f"--out is {out}, and should end in .jsonl or .parquet.")
    if out.exists() and not manifest_of(out).is_file():
        raise SettingError(f"--out is {out}, which exists and was not fetched: name a new file.")


def write_corpus(out: Path, journal: Journal, guardrails: Guardrails, memory: str, origin: Mapping[str, Any]) -> str:
    """Clean the journal's rows into `out` and its manifest. Returns what to say of it. Raises DataError if nothing is left."""
    columns = columns_of(journal.rows)
    if not columns:
        journal.remove()
        raise DataError("nothing was found: no row answers to what was asked; look at the parameters.")
    is_corpus = bool({"body", "turns"} & set(columns))
    made = journal.folder / "made.jsonl"
    if is_corpus:
        refuse_unjudgeable(guardrails, columns)
        report = clean(journal, guardrails, columns, memory, made)
        refuse_nothing(report)
    else:
        refuse_guardrails(guardrails)
        shutil.copyfile(journal.rows, made)
        report = Report(read=(lines := journal.lines()), kept=lines)
    if out.suffix == ".parquet":
        made = as_parquet(made)
    manifest = {
        "format": FORMAT,
        **origin,
        "rows": report.read,
        "kept": report.kept,
        "dropped": dict(report.dropped),
        "cut": dict(report.cut),
        "replaced": report.replaced,
        "guardrails": describe(guardrails) if is_corpus else None,
        "bytes": made.stat().st_size,
        "sha256": sha256_of(made),
        "made": made_with(),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = journal.folder / "manifest.json"
    aside.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
    made.replace(out)
    aside.replace(manifest_of(out))
    journal.remove()
    return summary(out, manifest)


def clean(journal: Journal, guardrails: Guardrails, columns: list[str], memory: str, made: Path) -> Report:
    from finetune.fetch.dumps import Dump
    from finetune.fetch.googlesql import refusals

    part = journal.folder / "part.jsonl"
    with (
        refusals("cleaning", memory),
        closing(Cleaner(guardrails, columns, journal.folder, memory)) as cleaner,
        made.open("wb") as file,
        progress_bar("clean", journal.rows.stat().st_size, "B") as progress,
    ):
        for block, _ in Dump(journal.rows, progress.update, BLOCK).blocks(journal.folder):
            cleaner.clean(block, part)
            with part.open("rb") as lines:
                shutil.copyfileobj(lines, file)
        return cleaner.report


def refuse_unjudgeable(guardrails: Guardrails, columns: list[str]) -> None:
    if guardrails.min_score != Guardrails.min_score and not {"score", "scores"} & set(columns):
        raise SettingError("--min_score is given, and what was fetched has no score: leave it out.")


def refuse_guardrails(guardrails: Guardrails) -> None:
    if replace(guardrails, vocabulary=Guardrails.vocabulary) != Guardrails():
        raise SettingError(
            "the query gives neither body nor turns, so there is nothing to clean: leave the guardrails out."
        )


def refuse_nothing(report: Report) -> None:
    if not report.kept:
        dropped = ", ".join(f"{name} {count:,}" for name, count in report.dropped.most_common())
        raise DataError(f"nothing is left of {report.read:,} documents ({dropped}): see --without.")


def as_parquet(lines: Path) -> Path:
    import duckdb

    from finetune.fetch.local import quoted

    made = lines.with_suffix(".parquet")
    with duckdb.connect() as connection:
        read = f"read_json('{quoted(lines)}', format = 'newline_delimited', maximum_object_size = {2**26})"
        connection.execute(f"COPY (SELECT * FROM {read}) TO '{quoted(made)}' (FORMAT parquet)").fetchall()
    return made


def describe(guardrails: Guardrails) -> dict[str, Any]:
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
    versions = {library: importlib.metadata.version(library) for library in ("duckdb", "sqlglot")}
    return {"at": datetime.now(UTC).isoformat(timespec="seconds")} | versions


def summary(out: Path, manifest: Mapping[str, Any]) -> str:
    """What was made of how much, for a person."""
    lines = [f"{out}: {manifest['rows']:,} rows found, {manifest['kept']:,} kept"]
    lines += [f"  {name:<16}{count:>12,} dropped" for name, count in manifest["dropped"].items()]
    lines += [f"  {name:<16}{count:>12,} conversations cut short" for name, count in manifest["cut"].items()]
    if manifest["replaced"]:
        lines.append(f"  {'personal':<16}{manifest['replaced']:>12,} with something replaced")
    if manifest.get("corrupt"):
        lines.append(f"  {manifest['corrupt']:,} lines were no rows and were passed over.")
    for path, reason in manifest.get("incomplete", {}).items():
        lines.append(f"  {path} was not read to its end: {reason}. What came before is kept.")
    return "\n".join(lines)
