"""Input formats (.txt, .csv, .tsv, .jsonl, .npz), read as streams of documents.

    .txt         running text; gpt-2-simple's marks <|startoftext|> and <|endoftext|> separate documents and are removed
    .csv, .tsv   one document per row, from one column; the marks separate documents here too
    .jsonl       one document per line: {"body": text, "meta"?: code} or {"turns": [text, …], "meta"?: code}
    .npz         an archive of gpt-2-simple's encode_dataset: decoded into text, then read like .txt

A file may be compressed. At most a block or a line of it is in memory. A DataError names the file and line that cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from app.engine.bundle import Template
from app.engine.tokenizer import Tokenizer
from app.errors import DataError
from finetune.data.documents import Document, from_stretch, from_text, from_turns
from finetune.data.input_files import InputFile
from finetune.data.long_documents import Stretch, is_blank, split_text
from finetune.data.tables import TEXT_COLUMNS, open_table, text_column
from finetune.data.text_encoding import decode, lines_of
from finetune.data.token_archive import read_archive

SplitAt = Literal["marks", "lines", "blank_lines"]
MARK = r"<\|(?:start|end)oftext\|>"
BORDERS: dict[SplitAt, re.Pattern[str]] = {
    # An end mark and the start mark after it are one border. A start mark and the end mark after it enclose a document,
    # even an empty one.
    "marks": re.compile(r"<\|endoftext\|>\s*(?:<\|startoftext\|>)?|<\|startoftext\|>"),
    "lines": re.compile(rf"(?:(?:\n|{MARK})\s*)+"),
    "blank_lines": re.compile(rf"(?:(?:\n[^\S\n]*\n|{MARK})\s*)+"),
}


class JsonlRecord(msgspec.Struct, forbid_unknown_fields=True):
    """One line of a .jsonl file. Exactly one of `body` and `turns` is given."""

    body: str | None = None
    turns: Annotated[list[str], msgspec.Meta(min_length=1)] | None = None
    meta: str | dict[str, str | int | float | bool | None] | None = None


@dataclass(frozen=True)
class Source:
    """One input file and how to read it.

    `vocabulary` is the one that an .npz was encoded with. `progress` is called with the number of bytes just read.
    """

    file: InputFile
    column: str | None
    split: SplitAt
    template: Template
    encoding: str
    vocabulary: Tokenizer | None
    progress: Callable[[int], object]

    def documents(self) -> Iterator[Document]:
        match self.file.kind:
            case "jsonl":
                yield from read_jsonl(self)
                return
            case "npz":
                texts = self.archived_texts()
            case "table":
                texts = (text for cell in read_column(self) for text in split_text([cell], BORDERS["marks"]))
            case _:
                texts = split_text(self.decoded(), BORDERS[self.split])
        yield from map(from_stretch, texts)

    def decoded(self, is_json: bool = False) -> Iterator[str]:
        """The text of the file, block by block."""
        return decode(str(self.file), self.file.chunks(self.progress), self.encoding, is_json)

    def archived_texts(self) -> Iterator[Stretch]:
        assert self.vocabulary is not None
        for blocks in read_archive(self.file.path, self.vocabulary, self.progress):
            yield from split_text(blocks, BORDERS[self.split])


def read_jsonl(source: Source) -> Iterator[Document]:
    """The document of each line that is not blank. Raises DataError naming the line that cannot be read."""
    decoder = msgspec.json.Decoder(JsonlRecord)
    for number, text in enumerate(lines_of(source.decoded(is_json=True)), start=1):
        if is_blank(text):
            continue
        try:
            record = decoder.decode(text)
        except (msgspec.DecodeError, UnicodeEncodeError) as error:
            raise DataError(wrong_line(source.file, number, str(error))) from None
        if (record.body is None) == (record.turns is None):
            raise DataError(wrong_line(source.file, number, f"it has {'both' if record.turns else 'neither'}"))
        if record.turns:
            yield from_turns(record.turns, record.meta, source.template)
        else:
            yield from from_text(record.body or "", record.meta)


def wrong_line(file: InputFile, number: int, reason: str) -> str:
    return f'{file}, line {number}: should be {{"body": "…"}} or {{"turns": ["…", …]}}, and optionally a "meta" ({reason}).'


def read_column(source: Source) -> Iterator[str]:
    """The cells of one column. Raises DataError naming a row that has more or fewer columns than the first."""
    wanted = TEXT_COLUMNS if source.column is None else [source.column]
    table = open_table(str(source.file), lines_of(source.decoded()), wanted)
    index, has_header = text_column(table, source.column)
    if not has_header:
        yield table.first[index]
    for row in table.rows():
        yield row[index]
