"""A row source: what fetch can take rows from, be it a query, an API or files."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from finetune.data.input_files import printable
from finetune.fetch.journal import Journal


class FetchedRows(NamedTuple):
    """The rows that a source has left in the journal: their columns, and what the manifest says of their origin."""

    columns: Collection[str]
    origin: dict[str, Any]


class RowSource(Protocol):
    """Where rows come from. The columns `body` (a text) or `turns` (a conversation) make them a corpus."""

    def request(self) -> dict[str, Any]:
        """Everything that the rows depend on, so that a journal of the same request can be resumed."""

    def expected_columns(self) -> Collection[str]:
        """The columns of the rows, as far as they are known beforehand; "*" is any. Raises DataError."""

    def fetch(self, journal: Journal) -> FetchedRows:
        """Leave the rows in the journal, resuming where an interrupted fetch stopped. Raises SettingError or DataError."""


def stamps(paths: Iterable[Path]) -> list[tuple[str, int, int]]:
    """Path, size in bytes and modification time in nanoseconds of each file, to tell whether a file has changed."""
    return [(printable(str(path)), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
