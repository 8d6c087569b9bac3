"""`fetch aclImdb`: film reviews of Stanford's folder, with their sentiment as control code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from app.errors import SettingError
from finetune.data.input_files import printable
from finetune.data.text_encoding import decode
from finetune.fetch.journal import Journal, write_rows
from finetune.fetch.row_source import FetchedRows
from finetune.fetch.source_files import SourceText
from finetune.progress_bar import progress_bar

SENTIMENTS = {"pos": "positive", "neg": "negative"}


class ImdbOptions(msgspec.Struct, frozen=True):
    """The --param of `fetch aclImdb`."""

    split: Annotated[Literal["train", "test"], Meta(description="which half of the reviews: train or test")] = "train"


def fetch_imdb_reviews(sources: SourceText, options: ImdbOptions, journal: Journal) -> FetchedRows:
    """Leave the reviews in the journal. Raises SettingError or DataError."""
    if len(sources.patterns) != 1:
        raise SettingError("fetch aclImdb reads one folder: name it with --source aclImdb.")
    folders = {sentiment: Path(sources.patterns[0]) / options.split / name for name, sentiment in SENTIMENTS.items()}
    for folder in folders.values():
        if not folder.is_dir():
            raise SettingError(f"{folder} is missing: --source should be the folder aclImdb, unpacked.")
    reviews = [(path, sentiment) for sentiment, folder in folders.items() for path in sorted(folder.glob("*.txt"))]
    with journal.adding(anew=True) as file, progress_bar("read", len(reviews), " reviews") as progress:
        for path, sentiment in reviews:
            write_rows(file, [{"body": read_review(path, sources.encoding), "meta": {"sentiment": sentiment}}])
            progress.update()
    return FetchedRows(["body", "meta"], {"bytes_read": sum(path.stat().st_size for path, _ in reviews)})


def read_review(path: Path, encoding: str) -> str:
    """A review's text, its HTML line breaks as newlines. Raises DataError."""
    text = "".join(decode(printable(str(path)), [path.read_bytes()], encoding))
    return text.replace("<br /><br />", "\n\n").replace("<br />", "\n")
