"""Tables (.csv, .tsv): the dialect by their first lines, then their rows, with each cell as it was written.

The dialect is what separates the columns, and whether a quote inside a text is written twice or after a backslash. The first line
may say it, as Excel does with `sep=;`. Otherwise the separator is the one that splits the first lines most evenly.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING

from app.errors import DataError
from finetune.data.file_kinds import suffix_of

if TYPE_CHECKING:
    from _csv import Reader as CsvReader

LONGEST_CELL = 2**24
"""Characters. A longer cell is taken for a quote that was never closed."""
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
SAMPLE_LINES, SAMPLE_CHARACTERS = 200, 2**17
"""What the dialect is found from."""
EVEN = 0.9
"""The share of rows that an unusual separator has to split like the first."""


@dataclass(frozen=True)
class CsvDialect:
    """How the rows of a table are written. `first_line` is that of the first row; blanks after a separator may count as none."""

    separator: str
    escape: str | None = None
    first_line: int = 1
    skips_blanks: bool = False

    @property
    def separators(self) -> str:
        """What separates the columns, in words."""
        return SEPARATORS.get(self.separator, repr(self.separator))

    def reader(self, lines: Iterable[str]) -> CsvReader:
        return csv.reader(
            lines, delimiter=self.separator, escapechar=self.escape, skipinitialspace=self.skips_blanks, strict=True
        )


@dataclass(frozen=True)
class CsvTable:
    """A table that is open for reading. Its first row has been read, and may be a header."""

    name: str
    dialect: CsvDialect
    reader: CsvReader
    first: Sequence[str]

    def rows(self, on_misfit: Callable[[str], object] | None = None) -> Iterator[list[str]]:
        """The rows after the first. One with more or fewer columns is told to `on_misfit`, or else raises DataError."""
        columns = len(self.first)
        with quotes_explained(self.name, self.dialect, self.reader):
            for row in self.reader:
                if len(row) == columns:
                    yield row
                elif len(row) > 1 or "".join(row).strip(" \t\x1a"):  # Else it is a blank line, or DOS's end of a file.
                    if on_misfit is None:
                        raise DataError(self._misfit(row))
                    on_misfit(self._misfit(row))

    def _misfit(self, row: Sequence[str]) -> str:
        line = self.reader.line_num + self.dialect.first_line - 1
        return (
            f"{self.name}, line {line}: {len(row)} columns, and the first line has {len(self.first)}: "
            f'put "quotes" around a text that contains {self.dialect.separators}.'
        )

    def column(self, name: str) -> int:
        """The index of a column by its name: exactly, or else without regard to case and blanks around. Raises DataError."""
        names = [cell.strip() for cell in self.first]
        found = [at for at, there in enumerate(names) if there == name.strip()]
        found = found or [at for at, there in enumerate(names) if there.casefold() == name.strip().casefold()]
        if not found:
            raise DataError(f"{self.name} has no column {name!r} in its first line, which has {listing(names)}.")
        if len(found) > 1:
            raise DataError(f"{self.name} has {len(found)} columns {name!r}: rename all but one.")
        return found[0]


def open_table(name: str, lines: Iterable[str], wanted: Collection[str]) -> CsvTable:
    """A table whose text comes in lines. `wanted` are names of columns.

    Raises DataError, also while the rows are read, naming the line with a quote that is not closed.
    """
    csv.field_size_limit(LONGEST_CELL)
    lines = iter(lines)
    sample = list(sampled(lines))
    usual = "\t" if suffix_of(name) == ".tsv" else ","
    dialect = find_dialect(sample, {name.strip().casefold() for name in wanted}, usual)
    reader = dialect.reader(chain(sample[dialect.first_line - 1 :], lines))
    with quotes_explained(name, dialect, reader):
        first = next((row for row in reader if row), [""])
    return CsvTable(name, dialect, reader, first)


def sampled(lines: Iterator[str]) -> Iterator[str]:
    size = 0
    for line in islice(lines, SAMPLE_LINES):
        yield line
        size += len(line)
        if size > SAMPLE_CHARACTERS:
            break


@contextmanager
def quotes_explained(name: str, dialect: CsvDialect, reader: CsvReader) -> Iterator[None]:
    """Turn an error of the reader, which is about a quote, into a DataError that names the line."""
    try:
        yield
    except csv.Error as error:
        line = reader.line_num + dialect.first_line - 1
        raise DataError(
            f"{name}, line {line}: {error}: write a quote inside a text twice, and close every quoted text."
        ) from None


def find_dialect(sample: Sequence[str], wanted: Collection[str], usual: str) -> CsvDialect:
    """The dialect of a table that begins with these lines. `wanted` are names of columns in lower case."""
    if sample and (said := re.fullmatch(r'"?sep=(.)"?\s*', sample[0], re.IGNORECASE)):
        dialect = completed(CsvDialect(said[1], first_line=2), sample)
        found = replace(find_dialect(sample[1:], wanted, usual), first_line=2)
        # The line may say what is not so.
        return found if columns_of(dialect, sample[1:]) < 2 <= columns_of(found, sample[1:]) else dialect
    candidates = [
        candidate
        for separator in possible_separators(sample)
        if (candidate := judge(completed(CsvDialect(separator), sample), sample, wanted, usual))
    ]
    if not candidates:
        return completed(CsvDialect(usual), sample)
    return max(candidates, key=lambda candidate: candidate[0])[1]


def columns_of(dialect: CsvDialect, sample: Sequence[str]) -> int:
    """How many columns the first row has."""
    return len(next(iter(rows_of_sample(dialect, sample)), []))


def possible_separators(sample: Sequence[str]) -> list[str]:
    """The usual separators, and others in the first line that is not blank."""
    first = next((line for line in sample if line.strip()), "")
    return [
        *SEPARATORS,
        *sorted({char for char in first if not char.isalnum() and char not in " _-.\"'\n"} - {*SEPARATORS}),
    ]


def judge(
    dialect: CsvDialect, sample: Sequence[str], wanted: Collection[str], usual: str
) -> tuple[tuple[bool, float, bool, int], CsvDialect] | None:
    """How well a dialect fits, to compare it with others; None if it does not split the first row, or does so by chance.

    A separator that is not usual needs a wanted column.
    """
    rows = rows_of_sample(dialect, sample)
    if not rows or len(rows[0]) < 2:
        return None
    named = any(cell.strip().casefold() in wanted for cell in rows[0])
    even = sum(len(row) == len(rows[0]) for row in rows) / len(rows)
    if not named and dialect.separator != usual and (even < EVEN or dialect.separator not in SEPARATORS):
        return None
    return (named, even, dialect.separator == usual, len(rows[0])), dialect


def completed(dialect: CsvDialect, sample: Sequence[str]) -> CsvDialect:
    """The dialect, with blanks after separators as in the first row, and backslashes before quotes if only they make sense."""
    first = next(iter(rows_of_sample(dialect, sample[dialect.first_line - 1 :])), [])
    if len(first) > 1 and all(cell.startswith(" ") for cell in first[1:]):
        dialect = replace(dialect, skips_blanks=True)
    escaped = replace(dialect, escape="\\")
    if not any('\\"' in line for line in sample) or is_sound(dialect, sample) or not is_sound(escaped, sample):
        return dialect
    return escaped


def is_sound(dialect: CsvDialect, sample: Sequence[str]) -> bool:
    """Whether the quotes of the sample are right in this dialect."""
    try:
        for _ in dialect.reader(sample[dialect.first_line - 1 :]):
            pass
    except csv.Error as error:
        return "unexpected end of data" in str(error)  # The sample may end within a text.
    return True


def rows_of_sample(dialect: CsvDialect, sample: Sequence[str]) -> list[list[str]]:
    """The rows that are not blank, up to the first with a wrong quote."""
    rows: list[list[str]] = []
    with suppress(csv.Error):
        for row in dialect.reader(sample):
            rows += [row] if row else []
    return rows


def listing(names: Sequence[str]) -> str:
    """The first 20 names, each shortened to 40 characters, for a message."""
    shown = ", ".join(repr(name[:40]) for name in names[:20])
    return f"{shown} and {len(names) - 20} more" if len(names) > 20 else shown
