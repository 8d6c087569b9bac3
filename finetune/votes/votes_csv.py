"""votes.csv and guesses.csv: every vote and every guess with its text, written as they are read.

They need not fit in memory that way.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from finetune.votes.stored_votes import StoredGuess, StoredVote

Stored = TypeVar("Stored", StoredVote, StoredGuess)


def write_through(stored: Iterable[Stored], path: Path, kind: type[Stored]) -> Iterator[Stored]:
    """Yield the same votes or guesses, and write each to the file as it is taken."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(kind._fields)
        for each in stored:
            rows.writerow(each._replace(at=each.at.isoformat()))  # type: ignore[arg-type]  # Written as text.
            yield each


def read_texts(path: Path, text_ids: Collection[str]) -> dict[str, tuple[str, str]]:
    """The prompt and the text of each of these ids."""
    with path.open(newline="", encoding="utf-8") as file:
        return {
            row["text_id"]: (row["prompt"], row["text"]) for row in csv.DictReader(file) if row["text_id"] in text_ids
        }
