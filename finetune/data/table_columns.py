"""Which columns of a table hold its text: those that somebody names, or those whose names say so."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from app.errors import DataError
from finetune.data.tables import CsvTable, listing

TEXT_COLUMNS = ("body", "text")
"""The columns that hold the text unless another is named."""
TURN_COLUMNS = (
    ("question", "answer"), ("setup", "punchline"), ("prompt", "completion"), ("prompt", "response"),
    ("instruction", "output"), ("instruction", "response"), ("input", "output"),
)  # fmt: skip
"""The columns that hold a conversation of two turns."""
USUAL_COLUMNS = (*TEXT_COLUMNS, *chain.from_iterable(TURN_COLUMNS))
# A column holds text if its name is one of these, or made with one; in singular or plural.
TEXT_WORDS = {
    "abstract", "answer", "article", "body", "caption", "comment", "completion", "content", "description", "dialogue",
    "document", "essay", "headline", "joke", "line", "lyric", "message", "note", "paragraph", "phrase", "poem", "post",
    "prompt", "question", "quote", "response", "review", "selftext", "sentence", "story", "summary", "text", "title", "tweet",
    "utterance",
}  # fmt: skip


@dataclass(frozen=True)
class TextColumns:
    """The columns that hold a table's text. Several are the turns of a conversation, such as a question and its answer.

    `guessed`: there are others, and nobody named these, nor has one the usual name.
    """

    indices: list[int]
    names: list[str]
    has_header: bool = True
    guessed: bool = False

    def __len__(self) -> int:
        return len(self.indices)

    def of(self, row: Sequence[str]) -> list[str]:
        return [row[index] for index in self.indices]


def find_columns(table: CsvTable, named: Sequence[str]) -> TextColumns:
    """The columns that are `named`, or else that are called as a text is. Raises DataError."""
    if named:
        return by_name(table, named)
    if len(table.first) == 1:
        return TextColumns([0], [table.first[0].strip()], is_text_name(table.first[0]))
    there = {cell.strip().casefold() for cell in table.first}
    for usual in TEXT_COLUMNS:
        if usual in there:
            return by_name(table, [usual])
    for turns in TURN_COLUMNS:
        if there.issuperset(turns):
            return by_name(table, turns, guessed=True)
    texts = [cell for cell in table.first if is_text_name(cell)]
    if len(texts) == 1:
        return by_name(table, texts, guessed=True)
    raise DataError(
        f"{table.name} has {len(table.first)} columns, and no name says which holds the text: choose with --column: "
        f"{listing([cell.strip() for cell in table.first])}."
    )


def by_name(table: CsvTable, names: Sequence[str], guessed: bool = False) -> TextColumns:
    indices = [table.column(name) for name in names]
    return TextColumns(indices, [table.first[index].strip() for index in indices], guessed=guessed)


def is_text_name(cell: str) -> bool:
    """Whether a cell of the first line is the name of a column with text, such as Joke, full_text, commentBody or pandas' 0."""
    name = cell.strip()
    words = re.findall(r"[A-Z]*[a-z]+|[A-Z]+", name) if re.fullmatch(r"[\w.-]+", name) else [name]
    return name == "0" or any(re.sub("ies$", "y", word.casefold()).removesuffix("s") in TEXT_WORDS for word in words)
