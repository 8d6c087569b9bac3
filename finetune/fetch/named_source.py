"""Named sources: what `fetch` reads besides queries, such as `fetch reddit` or `fetch csv`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import msgspec

from app.errors import SettingError
from finetune.data.input_files import paths_of, printable
from finetune.fetch.csv_tables import CsvOptions, HuggingFaceCsvOptions, fetch_csv, fetch_hugging_face_csv
from finetune.fetch.imdb_reviews import ImdbOptions, fetch_imdb_reviews
from finetune.fetch.journal import Journal
from finetune.fetch.jsonl_documents import JsonlOptions, fetch_jsonl
from finetune.fetch.parameters import bind_options
from finetune.fetch.reddit import RedditOptions, fetch_conversations
from finetune.fetch.row_source import FetchedRows, stamps
from finetune.fetch.source_files import SourceText


class SourceKind(NamedTuple):
    """A kind of source. `options` are its --param; `fetch` takes --source and these, and leaves rows in the journal."""

    meaning: str
    options: type[msgspec.Struct]
    fetch: Callable[[SourceText, Any, Journal], FetchedRows]
    reads_files: bool = True


SOURCE_KINDS = {
    "reddit": SourceKind(
        "conversations of a subreddit, from Reddit's API", RedditOptions, fetch_conversations, reads_files=False
    ),
    "csv": SourceKind("columns of .csv, .tsv and .parquet files", CsvOptions, fetch_csv),
    "hf-csv": SourceKind(
        "labelled texts as Hugging Face's data sets have them", HuggingFaceCsvOptions, fetch_hugging_face_csv
    ),
    "aclImdb": SourceKind("Stanford's folder of IMDb film reviews", ImdbOptions, fetch_imdb_reviews),
    "jsonl": SourceKind("documents, one a line, such as BigQuery's exports", JsonlOptions, fetch_jsonl),
}


class NamedSource:
    """A RowSource: one of SOURCE_KINDS, with the --source and --param that it was given."""

    def __init__(self, name: str, sources: SourceText, param: Sequence[str]) -> None:
        """Raises SettingError for a wrong --param, or if there are no files to read."""
        self.name, self.sources, self.kind = name, sources, SOURCE_KINDS[name]
        self.options = bind_options(f"fetch {name}", self.kind.options, param)
        if self.kind.reads_files and not sources.patterns:
            raise SettingError(f"fetch {name} reads files: name them with --source.")

    def request(self) -> dict[str, Any]:
        paths = [path for pattern in self.sources.patterns for path in paths_of(pattern)]
        return self._origin() | {"files": stamps(paths), "encoding": self.sources.encoding}

    def _origin(self) -> dict[str, Any]:
        parameters = msgspec.structs.asdict(self.options)
        return {"query": self.name, "parameters": parameters, "sources": list(map(printable, self.sources.patterns))}

    def expected_columns(self) -> Collection[str]:
        return ("body", "turns")

    def fetch(self, journal: Journal) -> FetchedRows:
        rows = self.kind.fetch(self.sources, self.options, journal)
        return FetchedRows(rows.columns, self._origin() | rows.origin)
