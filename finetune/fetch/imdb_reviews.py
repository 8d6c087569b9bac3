"""`fetch aclImdb`: film reviews of Stanford's folder, with their sentiment as control code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from app.errors import DataError, SettingError
from finetune.fetch.journal import Journal, write_rows
from finetune.fetch.row_source import FetchedRows
from finetune.progress_bar import progress_bar

SENTIMENTS = {"pos": "positive", "neg": "negative"}


class ImdbOptions(msgspec.Struct, frozen=True):
    """The --param of `fetch aclImdb`."""

    split: Annotated[Literal["train", "test"], Meta(description="which half of the reviews: train or test")] = "train"


def fetch_imdb_reviews(sources: Sequence[str], options: ImdbOptions, journal: Journal) -> FetchedRows:
    """Leave the reviews in the journal. Raises SettingError or DataError."""
    if len(sources) != 1:
        raise SettingError("fetch aclImdb reads one folder: name it with --source aclImdb.")
    folders = {sentiment: Path(sources[0]) / options.split / name for name, sentiment in SENTIMENTS.items()}
    for folder in folders.values():
        if not folder.is_dir():
            raise SettingError(f"{folder} is missing: --source should be the folder aclImdb, unpacked.")
    reviews = [(path, sentiment) for sentiment, folder in folders.items() for path in sorted(folder.glob("*.txt"))]
    with journal.adding(anew=True) as file, progress_bar("read", len(reviews), " reviews") as progress:
        for path, sentiment in reviews:
            write_rows(file, [{"body": read_review(path), "meta": {"sentiment": sentiment}}])
            progress.update()
    return FetchedRows(["body", "meta"], {"bytes_read": sum(path.stat().st_size for path, _ in reviews)})


def read_review(path: Path) -> str:
    """A review's text, its HTML line breaks as newlines. Raises DataError."""
    try:
        return path.read_text(encoding="utf-8").replace("<br /><br />", "\n\n").replace("<br />", "\n")
    except UnicodeDecodeError:
        raise DataError(f"{path} is not utf-8, as the reviews of aclImdb are.") from None
