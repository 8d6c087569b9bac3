"""Inputs, read as streams of documents: one for a text, a book or a mail, for a row or a line, for a conversation.

    .txt, .epub, .srt, .vtt     running text; in .txt gpt-2-simple's marks <|startoftext|> and <|endoftext|> separate documents
    .md                         the text of one page
    fortune files               texts between lines of a percent sign
    .csv, .tsv                  one document per row, from one column, in which the marks separate documents too, or from
                                several, which are turns
    .jsonl                      one document per line: {"body": text} or {"turns": [text, …]}, perhaps "meta" and "private"
    .npz                        an archive of gpt-2-simple's encode_dataset: decoded into text, then read like .txt
    .mbox, .eml                 one document per mail
    chats (finetune/data/chats) one document per conversation

A file may be compressed. Little of it is in memory. A DataError names the file and line that cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Literal

import msgspec

from app.engine.templates import Template
from app.engine.tokenizer import Tokenizer
from app.errors import DataError
from finetune.data.chats.chat_reading import ChatRules, read_chats
from finetune.data.chats.conversations import monologues
from finetune.data.chats.discord_export import read_discord_package, read_discord_table
from finetune.data.chats.x_archive import ME, read_tweets
from finetune.data.documents import Document, from_stretch, from_text, from_turns
from finetune.data.epub import read_epub
from finetune.data.file_kinds import CHATS, WRONG_JSON, Kind, suffix_of
from finetune.data.input_files import InputFile
from finetune.data.long_documents import Stretch, is_blank, split_text
from finetune.data.mail_texts import read_mails
from finetune.data.markdown_text import markdown_text
from finetune.data.subtitles import subtitle_text
from finetune.data.table_columns import USUAL_COLUMNS, TextColumns, find_columns
from finetune.data.tables import CsvTable, open_table
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
FORTUNE_BORDER, NO_BORDER = re.compile(r"\n%%?[ \t]*(?=\n)(?:\s*\n%%?[ \t]*(?=\n))*"), re.compile(r"(?!)")


class JsonlRecord(msgspec.Struct, forbid_unknown_fields=True):
    """One line of a .jsonl file. Exactly one of `body` and `turns` is given. `private`: people wrote it, and not to everybody."""

    body: str | None = None
    turns: Annotated[list[str], msgspec.Meta(min_length=1)] | None = None
    meta: str | dict[str, str | int | float | bool | None] | None = None
    private: bool = False


@dataclass(frozen=True)
class Source:
    """One input file and how to read it.

    `vocabulary` is the one that an .npz was encoded with. `progress` is called with the number of bytes just read, and
    `found_private` with the file where a document says that it is private.
    """

    file: InputFile
    column: Sequence[str]
    split: SplitAt
    template: Template
    encoding: str
    vocabulary: Tokenizer | None
    chats: ChatRules
    progress: Callable[[int], object]
    found_private: Callable[[InputFile], object]

    def documents(self) -> Iterator[Document]:
        match self.file.kind:
            case "jsonl":
                return read_jsonl(self)
            case "table":
                return read_table(self)
            case kind if kind in CHATS:
                chats = read_chats(self.file, self.encoding, self.progress)
                return (from_turns(turns, None, self.template) for turns in self.chats.conversations(chats))
            case kind if kind in STRETCHES:
                return map(from_stretch, STRETCHES[kind](self))
            case _:
                return (document for text in TEXTS[self.file.kind](self) for document in from_text(text))

    def decoded(self, is_json: bool = False) -> Iterator[str]:
        """The text of the file, block by block."""
        return decode(str(self.file), self.file.chunks(self.progress), self.encoding, is_json)


def archived_texts(source: Source) -> Iterator[Stretch]:
    assert source.vocabulary is not None
    for blocks in read_archive(source.file.path, source.vocabulary, source.progress):
        yield from split_text(blocks, BORDERS[source.split])


def mail_texts(source: Source) -> Iterator[str]:
    for mail in read_mails(source.file.chunks(source.progress)):
        yield mail.text if source.chats.personal is None else source.chats.personal.of(mail.people).replaced(mail.text)


def own_messages(source: Source) -> Iterator[str]:
    """What the owner of Discord's data package wrote in a channel."""
    if suffix_of(source.file.name) == ".csv":
        chat = read_discord_table(source.file, lines_of(str(source.file), source.decoded()), ME)
    else:
        chat = read_discord_package(source.file, ME, source.progress)
    return map(source.chats.text, monologues(chat))


# How a file of each kind becomes texts: those that may be long in stretches, and others, each as a whole.
STRETCHES: dict[Kind | None, Callable[[Source], Iterator[Stretch]]] = {
    "text": lambda source: split_text(source.decoded(), BORDERS[source.split]),
    "fortunes": lambda source: split_text(chain(["\n"], source.decoded(), ["\n"]), FORTUNE_BORDER),
    "subtitles": lambda source: split_text(subtitle_text(lines_of(str(source.file), source.decoded())), NO_BORDER),
    "epub": lambda source: split_text(read_epub(source.file, source.progress), NO_BORDER),
    "npz": archived_texts,
}
TEXTS: dict[Kind | None, Callable[[Source], Iterator[str]]] = {
    "markdown": lambda source: iter([markdown_text("".join(source.decoded()))]),
    "mailbox": mail_texts,
    "tweets": lambda source: map(source.chats.text, read_tweets(source.file, source.progress)),
    "discord_package": own_messages,
}


def read_jsonl(source: Source) -> Iterator[Document]:
    """The document of each line that is not blank. Raises DataError naming the line that cannot be read."""
    decoder = msgspec.json.Decoder(JsonlRecord)
    for number, text in enumerate(lines_of(str(source.file), source.decoded(is_json=True)), start=1):
        if is_blank(text):
            continue
        try:
            record = decoder.decode(text)
        except WRONG_JSON as error:
            raise DataError(wrong_line(source.file, number, str(error))) from None
        if (record.body is None) == (record.turns is None):
            raise DataError(wrong_line(source.file, number, f"it has {'both' if record.turns else 'neither'}"))
        if record.private:
            source.found_private(source.file)
        if record.turns:
            yield from_turns(record.turns, record.meta, source.template)
        else:
            yield from from_text(record.body or "", record.meta)


def wrong_line(file: InputFile, number: int, reason: str) -> str:
    return f'{file}, line {number}: should be {{"body": "…"}} or {{"turns": ["…", …]}}, and optionally a "meta" ({reason}).'


def read_table(source: Source) -> Iterator[Document]:
    """The documents of each row. Raises DataError naming a row that has more or fewer columns than the first."""
    table, columns = opened_table(source.file, source.column, source.decoded())
    for row in table.rows() if columns.has_header else chain([table.first], table.rows()):
        cells = columns.of(row)
        if len(cells) > 1:
            yield from_turns(cells, None, source.template)
        else:
            yield from map(from_stretch, split_text(cells, BORDERS["marks"]))


def columns_of(file: InputFile, named: Sequence[str], encoding: str) -> TextColumns:
    """The columns of a table that hold its text, from its first lines. Raises DataError."""
    return opened_table(file, named, decode(str(file), file.chunks(lambda _: None), encoding))[1]


def opened_table(file: InputFile, named: Sequence[str], blocks: Iterator[str]) -> tuple[CsvTable, TextColumns]:
    table = open_table(str(file), lines_of(str(file), blocks), named or USUAL_COLUMNS)
    return table, find_columns(table, named)
