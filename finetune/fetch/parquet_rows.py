"""The rows of a .parquet file, read by Apache Arrow, which takes open files: no path becomes part of a query."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from app.errors import DataError
from finetune.data.input_files import InputFile
from finetune.fetch.journal import Row

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

BATCH = 10_000
"""Rows that are in memory at a time."""


@contextmanager
def open_parquet(file: InputFile) -> Iterator[ParquetFile]:
    """A .parquet file, open for reading; a compressed one is unpacked into memory. Raises DataError, also while it is read."""
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    with ExitStack() as stack:
        opened: Any = stack.enter_context(file.path.open("rb"))
        if file.member or opened.peek(4)[:4] != b"PAR1":
            opened = io.BytesIO(b"".join(file.chunks(lambda _: None)))
        try:
            yield ParquetFile(opened)
        except (ArrowException, OSError) as error:
            raise DataError(f"{file} cannot be read: {str(error).splitlines()[0]}") from None


def parquet_rows(file: InputFile, parquet: ParquetFile) -> Iterator[Row]:
    """The rows. Raises DataError for bytes that are not UTF-8."""
    for batch in parquet.iter_batches(BATCH):
        for row in batch.to_pylist():
            yield {name: as_text(file, name, value) for name, value in row.items()}


def as_text(file: InputFile, name: str, value: Any) -> Any:
    """Some programs write texts as bytes."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise DataError(f"{file}: the column {name!r} has bytes that are not utf-8 text.") from None
