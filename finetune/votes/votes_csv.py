"""votes.csv: every vote with its text, written as the votes are read.

The votes need not fit in memory that way.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from finetune.votes.stored_votes import StoredVote


def write_through(votes: Iterable[StoredVote], path: Path) -> Iterator[StoredVote]:
    """Yield the same votes, and write each to the file as it is taken."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(StoredVote._fields)
        for vote in votes:
            rows.writerow(vote._replace(at=vote.at.isoformat()))  # type: ignore[arg-type]  # Written as text.
            yield vote


def read_texts(path: Path, text_ids: Collection[str]) -> dict[str, tuple[str, str]]:
    """The prompt and the text of each of these ids."""
    with path.open(newline="", encoding="utf-8") as file:
        return {
            row["text_id"]: (row["prompt"], row["text"]) for row in csv.DictReader(file) if row["text_id"] in text_ids
        }
