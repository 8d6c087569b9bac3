"""`fetch csv` and `hf-csv`: documents from the columns of .csv, .tsv and .parquet files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import msgspec
from msgspec import Meta

from app.errors import DataError, SettingError
from finetune.data.tables import listing
from finetune.fetch.dumps import TABLE_SUFFIXES, find_files
from finetune.fetch.journal import Journal, Row, write_rows
from finetune.fetch.row_source import FetchedRows
from finetune.progress_bar import progress_bar


class CsvOptions(msgspec.Struct, frozen=True):
    """The columns that a document is made of; an empty name stands for no column."""

    body: Annotated[str, Meta(description="the column of the text")] = ""
    question: Annotated[str, Meta(description="the column of a conversation's first turn, instead of body")] = ""
    answer: Annotated[str, Meta(description="the column of its second turn")] = ""
    label: Annotated[str, Meta(description="a column that becomes the control code")] = ""
    names: Annotated[str, Meta(description="the names of the labels 0, 1, 2 …, comma-separated")] = ""
    score: Annotated[str, Meta(description="a column that --min_score looks at")] = ""


class HuggingFaceCsvOptions(msgspec.Struct, frozen=True):
    """The columns of Hugging Face's data sets for classification, whose labels are numbers."""

    body: Annotated[str, Meta(description="the column of the text")] = "text"
    label: Annotated[str, Meta(description="the column that becomes the control code")] = "label"
    names: Annotated[str, Meta(description="the names of the labels 0, 1, 2 …, comma-separated")] = "negative,positive"


def fetch_hugging_face_csv(sources: Sequence[str], options: HuggingFaceCsvOptions, journal: Journal) -> FetchedRows:
    return fetch_csv(sources, CsvOptions(options.body, label=options.label, names=options.names), journal)


def fetch_csv(sources: Sequence[str], options: CsvOptions, journal: Journal) -> FetchedRows:
    """Leave the documents of tables in the journal. Raises SettingError or DataError."""
    if bool(options.body) == bool(options.question and options.answer):
        raise SettingError("fetch csv needs --param body=COLUMN, or --param question=COLUMN and --param answer=COLUMN.")
    paths = find_files(sources, TABLE_SUFFIXES)
    size = sum(path.stat().st_size for path in paths)
    corrupt = 0
    with journal.adding(anew=True) as file, progress_bar("read", size, "B") as progress:
        for path in paths:
            corrupt += read_table(path, options, file)
            progress.update(path.stat().st_size)
    columns = ["body" if options.body else "turns"]
    columns += ["meta"] if options.label else []
    columns += ["score"] if options.score else []
    return FetchedRows(columns, {"bytes_read": size, "corrupt": corrupt})


def read_table(path: Path, options: CsvOptions, file: BinaryIO) -> int:
    """Write a table's documents to `file` as JSON lines. Returns the number of lines that are no rows. Raises DataError."""
    import duckdb

    from finetune.fetch.duckdb_session import count_rejected, relation_of_table, rows_of

    with duckdb.connect() as connection:
        table = relation_of_table(path)
        try:
            selected = select_columns(path, options, connection.sql(f"SELECT * FROM {table}").columns)
            found = connection.sql(f"SELECT {selected} FROM {table}")
            names = [name for name in options.names.split(",") if name]
            write_rows(file, (document_of(row, names, path) for row in rows_of(found)))
            return count_rejected(connection, path)
        except duckdb.Error as error:
            raise DataError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None


def select_columns(path: Path, options: CsvOptions, there: list[str]) -> str:
    """The columns that the options name, as SQL, each under the option's name. Raises DataError if one is missing."""
    from finetune.fetch.duckdb_session import identifier

    wanted = {name: column for name, column in msgspec.structs.asdict(options).items() if column and name != "names"}
    for column in wanted.values():
        if column not in there:
            raise DataError(f"{path} has no column {column!r}, but {listing(there)}.")
    return ", ".join(f"{identifier(column)} AS {name}" for name, column in wanted.items())


def document_of(row: Row, names: Sequence[str], path: Path) -> dict[str, Any]:
    """A row of a table as a document. Raises DataError for a label without a name, or a score that is no number."""
    document: dict[str, Any] = {}
    if "body" in row:
        document["body"] = row["body"] or ""
    else:
        document["turns"] = [row["question"] or "", row["answer"] or ""]
    if "label" in row:
        document["meta"] = label_name(str(row["label"]), names, path) if names else str(row["label"])
    if "score" in row:
        document["score"] = score_of(row["score"], path)
    return document


def label_name(label: str, names: Sequence[str], path: Path) -> str:
    """The name of a numeric label; a label that is a name already stays. Raises DataError for any other."""
    if label in names:
        return label
    if not label.isdecimal() or int(label) >= len(names):
        raise DataError(f"{path} has the label {label!r}, and --param names has {len(names)}: {','.join(names)}.")
    return names[int(label)]


def score_of(score: Any, path: Path) -> float:
    """An empty score is 0. Raises DataError for one that is no number."""
    try:
        return float(score or 0)
    except ValueError:
        raise DataError(f"{path} has the score {score!r}, which is no number.") from None
