"""`fetch csv` and `hf-csv`: documents from the columns of .csv, .tsv and .parquet files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from app.errors import DataError, SettingError
from finetune.data.input_files import InputFile
from finetune.data.tables import CsvTable, listing, open_table
from finetune.fetch.journal import Journal, Row, write_rows
from finetune.fetch.parquet_rows import open_parquet, parquet_rows
from finetune.fetch.row_source import FetchedRows
from finetune.fetch.source_files import SourceText
from finetune.progress_bar import progress_bar

NO_VALUE = {"", "NaN", "nan", "null", "NULL", "None", "<NA>", "\\N", "NA", "N/A", "n/a", "#N/A"}
"""What programs write where a table has no value: pandas, SQL, R and Excel."""


class CsvOptions(msgspec.Struct, frozen=True):
    """The columns that a document is made of; an empty name stands for no column."""

    body: Annotated[str, Meta(description="the column of the text")] = ""
    question: Annotated[str, Meta(description="the column of a conversation's first turn, instead of body")] = ""
    answer: Annotated[str, Meta(description="the column of its second turn")] = ""
    label: Annotated[str, Meta(description="a column that becomes the control code")] = ""
    names: Annotated[str, Meta(description="the names of the labels 0, 1, 2 …, comma-separated")] = ""
    score: Annotated[str, Meta(description="a column that --min-score looks at")] = ""

    def columns(self) -> dict[str, str]:
        """The columns of the table, by what they are to a document."""
        return {name: column for name, column in msgspec.structs.asdict(self).items() if column and name != "names"}


class HuggingFaceCsvOptions(msgspec.Struct, frozen=True):
    """The columns of Hugging Face's data sets for classification, whose labels are numbers."""

    body: Annotated[str, Meta(description="the column of the text")] = "text"
    label: Annotated[str, Meta(description="the column that becomes the control code")] = "label"
    names: Annotated[str, Meta(description="the names of the labels 0, 1, 2 …, comma-separated")] = "negative,positive"


@dataclass
class RowCounts:
    """Of the rows so far: how many became documents, how many are no rows and why the first is none, how many have no label."""

    documents: int = 0
    corrupt: int = 0
    first_corrupt: str | None = None
    unlabelled: int = 0

    def add_misfit(self, sentence: str) -> None:
        self.corrupt += 1
        self.first_corrupt = self.first_corrupt or sentence


def fetch_hugging_face_csv(sources: SourceText, options: HuggingFaceCsvOptions, journal: Journal) -> FetchedRows:
    return fetch_csv(sources, CsvOptions(options.body, label=options.label, names=options.names), journal)


def fetch_csv(sources: SourceText, options: CsvOptions, journal: Journal) -> FetchedRows:
    """Leave the documents of tables in the journal. Raises SettingError or DataError."""
    if bool(options.body) == bool(options.question and options.answer):
        raise SettingError("fetch csv needs --param body=COLUMN, or --param question=COLUMN and --param answer=COLUMN.")
    files = sources.files("table", "parquet")
    size = sum(path.stat().st_size for path in {file.path for file in files})
    counts = RowCounts()
    with journal.adding(anew=True) as rows, progress_bar("read", size, "B") as progress:
        for file in files:
            write_rows(rows, documents_of(file, sources, options, counts, progress.update))
    if counts.first_corrupt and not counts.documents:
        raise DataError(counts.first_corrupt)
    columns = ["body" if options.body else "turns"]
    columns += ["meta"] if options.label else []
    columns += ["score"] if options.score else []
    read = {"bytes_read": size, "corrupt": counts.corrupt, "first_corrupt": counts.first_corrupt}
    return FetchedRows(columns, read | ({"unlabelled": counts.unlabelled} if options.label else {}))


def documents_of(
    file: InputFile, sources: SourceText, options: CsvOptions, counts: RowCounts, progress: Callable[[int], object]
) -> Iterator[Row]:
    """A table's documents. Raises DataError."""
    columns = options.columns()
    names = [name for name in options.names.split(",") if name]
    rows = (
        rows_of_parquet(file, columns, progress)
        if file.kind == "parquet"
        else rows_of_table(open_table(str(file), sources.lines(file, progress), columns.values()), columns, counts)
    )
    for row in rows:
        counts.documents += 1
        counts.unlabelled += "label" in row and is_missing(row["label"])
        yield document_of(row, names, file)


def rows_of_table(table: CsvTable, columns: Mapping[str, str], counts: RowCounts) -> Iterator[Row]:
    """The cells of the given columns, by what they are to a document. Raises DataError if a column is missing."""
    if not any(table.first):
        raise DataError(f"{table.name} is empty.")
    index = {name: table.column(column) for name, column in columns.items()}
    for row in table.rows(counts.add_misfit):
        yield {name: row[at] for name, at in index.items()}


def rows_of_parquet(file: InputFile, columns: Mapping[str, str], progress: Callable[[int], object]) -> Iterator[Row]:
    with open_parquet(file) as parquet:
        there = parquet.schema_arrow.names
        for column in columns.values():
            if column not in there:
                raise DataError(f"{file} has no column {column!r}, but {listing(there)}.")
        for row in parquet_rows(file, parquet):
            yield {name: row[column] for name, column in columns.items()}
    progress(file.path.stat().st_size)


def is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value)) or str(value).strip() in NO_VALUE


def document_of(row: Row, names: Sequence[str], file: InputFile) -> dict[str, Any]:
    """A row of a table as a document. Raises DataError for a label without a name, or a score that is no number."""
    document: dict[str, Any] = {}
    if "body" in row:
        document["body"] = row["body"] or ""
    else:
        document["turns"] = [row["question"] or "", row["answer"] or ""]
    if "label" in row and not is_missing(row["label"]):
        label = str(row["label"]).strip()
        document["meta"] = label_name(label, names, file) if names else label
    if "score" in row:
        document["score"] = score_of(row["score"], file)
    return document


def label_name(label: str, names: Sequence[str], file: InputFile) -> str:
    """The name of a numeric label, such as 1 or 1.0; a label that is a name already stays. Raises DataError for any other."""
    if label in names:
        return label
    number = label.removesuffix(".0")
    if not number.isdecimal() or int(number) >= len(names):
        raise DataError(f"{file} has the label {label!r}, and --param names has {len(names)}: {','.join(names)}.")
    return names[int(number)]


def score_of(score: Any, file: InputFile) -> float:
    """A missing score is 0. Raises DataError for one that is no number."""
    try:
        number = 0.0 if is_missing(score) else float(score)
    except ValueError:
        number = math.inf
    if not math.isfinite(number):
        raise DataError(f"{file} has the score {score!r}, which is no number.")
    return number
