"""Files of text that is there already: tables of jokes, reviews with their labels, folders of reviews, lines of documents.

csv        columns of a .csv, .tsv or .parquet: a text, or a question and its answer
hf-csv     the same for data sets as Hugging Face has them: `text`, and `label` as a number that stands for a name
aclImdb    the folder of film reviews that Stanford gives out, train/pos and train/neg
jsonl      documents, one a line, such as BigQuery exports: what `fetch` wrote, cleaned again or cleaned otherwise
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from app.errors import DataError, SettingError
from finetune.data.sources import listing
from finetune.fetch.journal import Journal, Row, write_rows
from finetune.fetch.query import Parameter, Value
from finetune.progress_bar import progress_bar

CSV = (
    Parameter("body", "STRING", "", "the column of the text"),
    Parameter("question", "STRING", "", "or the column of what opens a conversation"),
    Parameter("answer", "STRING", "", "and of what answers it"),
    Parameter("label", "STRING", "", "a column that becomes the control code"),
    Parameter("names", "STRING", "", "what the labels 0, 1, 2 … stand for, with commas between"),
    Parameter("score", "STRING", "", "a column that --min_score looks at"),
)
HF_CSV = (
    Parameter("body", "STRING", "text", "the column of the text"),
    Parameter("label", "STRING", "label", "the column that becomes the control code"),
    Parameter("names", "STRING", "negative,positive", "what the labels 0, 1, 2 … stand for, with commas between"),
)
ACL_IMDB = (Parameter("split", "STRING", "train", "train or test"),)
SENTIMENTS = {"pos": "positive", "neg": "negative"}
SUFFIXES = {"csv": (".csv", ".tsv", ".parquet"), "jsonl": (".jsonl", ".ndjson", ".json", ".zst", ".gz", ".parquet")}


class Line(msgspec.Struct, omit_defaults=True):
    """A line that is a document, with what the guardrails look at."""

    body: str | None = None
    turns: list[str] | None = None
    meta: str | dict[str, str | int | float | bool | None] | None = None
    author: str | None = None
    authors: list[str] | None = None
    score: float | None = None
    scores: list[float] | None = None


def find(sources: Sequence[str], kind: str) -> list[Path]:
    """Raises SettingError naming a source without files of this kind."""
    from finetune.fetch.dumps import find_files

    if not sources:
        raise SettingError(f"fetch {kind} reads files: name them with --source.")
    return find_files(sources, SUFFIXES[kind])


def fetch_csv(sources: Sequence[str], values: Mapping[str, Value], journal: Journal) -> dict[str, Any]:
    """Leave the rows of tables in the journal. Returns what there was to read, and how many lines were no rows."""
    body, question, answer = (str(values.get(name, "")) for name in ("body", "question", "answer"))
    if bool(body) == bool(question and answer):
        raise SettingError("fetch csv needs --param body=COLUMN, or --param question=COLUMN and --param answer=COLUMN.")
    paths = find(sources, "csv")
    corrupt = 0
    with (
        journal.adding(anew=True) as file,
        progress_bar("read", sum(path.stat().st_size for path in paths), "B") as progress,
    ):
        for path in paths:
            corrupt += read_csv(path, values, file)
            progress.update(path.stat().st_size)
    return {"bytes_read": sum(path.stat().st_size for path in paths), "corrupt": corrupt}


def read_csv(path: Path, values: Mapping[str, Value], file: Any) -> int:
    import duckdb

    from finetune.fetch.local import quoted, rows_of

    with duckdb.connect() as connection:
        options = "header = true, all_varchar = true, store_rejects = true"
        reader = "read_parquet" if path.suffix.lower() == ".parquet" else "read_csv"
        there = f"{reader}('{quoted(path)}'{f', {options}' if reader == 'read_csv' else ''})"
        try:
            columns = connection.sql(f"SELECT * FROM {there}").columns
            wanted = {name: str(column) for name, column in values.items() if column and name != "names"}
            for column in wanted.values():
                if column not in columns:
                    raise DataError(f"{path} has no column {column!r}, but {listing(columns)}.")
            chosen = ", ".join(f'"{column}" AS {name}' for name, column in wanted.items())
            rows = connection.sql(f"SELECT {chosen} FROM {there}")
            names = [name for name in str(values.get("names", "")).split(",") if name]
            write_rows(file, (document(row, names, path) for row in rows_of(rows)))
            if reader == "read_parquet":
                return 0
            count: int = connection.execute("SELECT count(DISTINCT line) FROM reject_errors").fetchall()[0][0]
        except duckdb.Error as error:
            raise DataError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
    return count


def document(row: Row, names: Sequence[str], path: Path) -> dict[str, Any]:
    """A row of a table as a document."""
    made: dict[str, Any] = {}
    if "body" in row:
        made["body"] = row["body"] or ""
    else:
        made["turns"] = [row["question"] or "", row["answer"] or ""]
    if "label" in row:
        made["meta"] = named(str(row["label"]), names, path) if names else str(row["label"])
    if "score" in row:
        try:
            made["score"] = float(row["score"] or 0)
        except ValueError:
            raise DataError(f"{path} has the score {row['score']!r}, which is no number.") from None
    return made


def named(label: str, names: Sequence[str], path: Path) -> str:
    if label in names:
        return label
    if not label.isdecimal() or int(label) >= len(names):
        raise DataError(f"{path} has the label {label!r}, and --param names has {len(names)}: {','.join(names)}.")
    return names[int(label)]


def fetch_acl_imdb(sources: Sequence[str], values: Mapping[str, Value], journal: Journal) -> dict[str, Any]:
    """Leave the reviews of aclImdb in the journal, each with its sentiment as a control code."""
    split = values["split"]
    if split not in ("train", "test"):
        raise SettingError(f"--param split is {split!r}, and should be train or test.")
    if len(sources) != 1:
        raise SettingError("fetch aclImdb reads one folder: name it with --source aclImdb.")
    folders = {name: Path(sources[0]) / str(split) / name for name in SENTIMENTS}
    for folder in folders.values():
        if not folder.is_dir():
            raise SettingError(f"{folder} is missing: --source should be the folder aclImdb, unpacked.")
    paths = {name: sorted(folder.glob("*.txt")) for name, folder in folders.items()}
    with journal.adding(anew=True) as file, progress_bar("read", sum(map(len, paths.values())), " reviews") as progress:
        for name, reviews in paths.items():
            for path in reviews:
                write_rows(file, [{"body": review(path), "meta": {"sentiment": SENTIMENTS[name]}}])
                progress.update()
    return {"bytes_read": sum(path.stat().st_size for reviews in paths.values() for path in reviews)}


def review(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").replace("<br /><br />", "\n\n").replace("<br />", "\n")
    except UnicodeDecodeError:
        raise DataError(f"{path} is not utf-8, as the reviews of aclImdb are.") from None


def fetch_jsonl(sources: Sequence[str], values: Mapping[str, Value], journal: Journal) -> dict[str, Any]:
    """Leave documents that lie in files in the journal. Lines that are none are counted and passed over."""
    paths = find(sources, "jsonl")
    counts = {"lines": 0, "corrupt": 0}
    incomplete: dict[str, str] = {}
    with (
        journal.adding(anew=True) as file,
        progress_bar("read", sum(path.stat().st_size for path in paths), "B") as progress,
    ):
        for path in paths:
            if path.suffix.lower() == ".parquet":
                write_rows(file, documents(parquet_lines(path), counts))
                progress.update(path.stat().st_size)
                continue
            from finetune.fetch.dumps import Dump

            dump = Dump(path, progress.update)
            for block, _ in dump.blocks(journal.folder):
                with block.open("rb") as lines:
                    write_rows(file, documents(lines, counts))
            if dump.incomplete:
                incomplete[str(path)] = dump.incomplete
    if counts["lines"] and counts["corrupt"] == counts["lines"]:
        raise DataError(f'{", ".join(sources)} has no line that is {{"body": "…"}} or {{"turns": ["…", …]}}.')
    return {"bytes_read": sum(path.stat().st_size for path in paths), "incomplete": incomplete} | counts


def parquet_lines(path: Path) -> Iterator[bytes]:
    import duckdb

    from finetune.fetch.local import quoted, rows_of

    with duckdb.connect() as connection:
        try:
            for row in rows_of(connection.sql(f"SELECT * FROM read_parquet('{quoted(path)}')")):
                yield msgspec.json.encode(row)
        except duckdb.Error as error:
            raise DataError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None


def documents(lines: Iterator[bytes] | Any, counts: dict[str, int]) -> Iterator[dict[str, Any]]:
    decoder = msgspec.json.Decoder(Line)
    for line in lines:
        counts["lines"] += 1
        try:
            found = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            counts["corrupt"] += 1
            continue
        if found.body is None and not found.turns:
            counts["corrupt"] += 1
            continue
        yield msgspec.to_builtins(found)
