"""File kinds: what a file holds, by its first bytes, and where they do not tell, by its name."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Literal

import msgspec

from finetune.data import compression
from finetune.data.chats.whatsapp_export import is_whatsapp

Kind = Literal[
    "text", "table", "jsonl", "npz", "parquet", "fortunes", "markdown", "subtitles", "epub", "mailbox",
    "whatsapp", "telegram", "discord", "discord_package", "tweets", "direct_messages",
]  # fmt: skip
SUFFIXES = (".txt", ".md", ".csv", ".tsv", ".jsonl", ".npz", ".epub", ".srt", ".vtt", ".mbox", ".eml")
KINDS: dict[str, Kind] = {
    ".txt": "text", ".text": "text", ".md": "markdown", ".markdown": "markdown", ".csv": "table", ".tsv": "table",
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".npz": "npz", ".parquet": "parquet", ".epub": "epub", ".srt": "subtitles",
    ".vtt": "subtitles", ".mbox": "mailbox", ".mbx": "mailbox", ".eml": "mailbox",
}  # fmt: skip
CHATS: tuple[Kind, ...] = ("whatsapp", "telegram", "discord", "direct_messages")
"""The kinds that hold conversations."""
PERSONAL: tuple[Kind, ...] = ("mailbox", "tweets", "discord_package")
"""Other kinds in which personal data is replaced."""
PRIVATE: tuple[Kind, ...] = (*CHATS, *PERSONAL)
"""The kinds that hold what people wrote to each other, and not to everybody. No archive says whether tweets are protected."""
ENCODED: tuple[Kind, ...] = ("text", "table", "jsonl", "fortunes", "markdown", "subtitles", "whatsapp")
"""The kinds whose encoding nothing tells. Others are UTF-8, or say what they are."""
READABLE: tuple[Kind, ...] = (
    "text", "table", "jsonl", "npz", "fortunes", "markdown", "subtitles", "epub", *PERSONAL, *CHATS,
)  # fmt: skip
"""The kinds that `prepare` reads."""
WRONG_JSON = (msgspec.DecodeError, UnicodeError, RecursionError)
"""How JSON fails to be read. What is nested by the thousand is no text either."""
READ_ONCE: tuple[Kind, ...] = ("text", "jsonl", "markdown", "subtitles", "mailbox")
"""The kinds that are told by the name alone, and read from beginning to end. Of tables, the first lines are read twice."""
HEAD = 2**14
"""Bytes of a file that tell its kind."""
TELEGRAM_CHATS = (
    rb"(?:personal_chat|bot_chat|saved_messages|replies|verification_codes"
    rb"|(?:private|public)_(?:group|supergroup|channel))"
)
# What the exports of chats begin with, and other files whose names do not tell.
SIGNS: tuple[tuple[Kind, re.Pattern[bytes]], ...] = (
    (
        "telegram",
        re.compile(rb'\{(?=[^\[]{0,4000}?"type"\s*:\s*"' + TELEGRAM_CHATS + rb'")[^\[]{0,4000}?"messages"\s*:'),
    ),
    (
        "telegram",
        re.compile(
            rb'\{\s*"(?:about|personal_information|profile_pictures|stories|contacts|frequent_contacts|chats|left_chats)"\s*:'
            rb'(?s:.*?)(?:Telegram|"list"\s*:\s*\[)'
        ),
    ),
    ("discord", re.compile(rb'\{\s*"guild"\s*:\s*\{(?s:.*?)"channel"\s*:\s*\{')),
    ("discord", re.compile(rb'"?AuthorID"?,"?Author"?,"?Date"?,"?Content"?,')),
    ("discord_package", re.compile(rb'\[\s*\{(?=[^{}]*"Timestamp"\s*:)(?=[^{}]*"Contents"\s*:)')),
    ("discord_package", re.compile(rb"ID,Timestamp,Contents,Attachments")),
    ("tweets", re.compile(rb"window\.YTD\.tweets?\.part\d+\s*=")),
    ("direct_messages", re.compile(rb"window\.YTD\.direct_messages?(?:_group)?\.part\d+\s*=")),
    ("subtitles", re.compile(rb"WEBVTT(?:[ \t][^\n]*)?\r?(?:\n|$)")),
    ("subtitles", re.compile(rb"\d+[ \t]*\r?\n\d+:\d\d:\d\d[,.]\d+ *--> *\d+:\d\d:\d\d[,.]\d")),
    ("mailbox", re.compile(rb"From [^\n]{1,200}\d\d:\d\d[^\n]*\n[\w-]{1,40}:[ \t]")),
)
EPUB = re.compile(rb"PK(?s:.{28})mimetypeapplication/epub\+zip")
# A line of a percent sign ends a fortune. In other texts, such as LaTeX, lines begin with one.
FORTUNE_END, PERCENT_LINE = re.compile(rb"^%%?[ \t]*\r?$", re.MULTILINE), re.compile(rb"^%[^\n]*[^\s%]", re.MULTILINE)
FORTUNES = ("", ".txt", ".text", ".fortune", ".fortunes", ".u8")
TELEGRAM_PAGE = re.compile(rb"<!DOCTYPE html>(?s:.*?)(?:Exported Data|class=\"page_wrap)")
# What is often mistaken for text, by its first bytes.
OTHERS = {
    b"%PDF": "a PDF", b"7z\xbc\xaf": "a 7z archive", b"Rar!": "a RAR archive", b"SQLite format 3": "an SQLite database",
    b"\xd0\xcf\x11\xe0": "an old Office document", b"PAR1": "a Parquet file", b"\x89HDF": "an HDF5 file",
    b"ARROW1": "an Arrow file", b"\x89PNG": "a picture", b"\xff\xd8\xff": "a picture", b"{\\rtf": "an RTF document",
}  # fmt: skip


def kind_of(name: str, head: bytes, named: bool) -> Kind | None:
    """What a file holds. The exports of chats, and JSON by its first line, are told whatever the name says."""
    kind = KINDS.get(suffix_of(name))
    if head.startswith(b"PAR1"):
        return "parquet"
    if other_kind(head):
        return "epub" if EPUB.match(head) or (kind == "epub" and compression.ZIP.match(head)) else None
    if found := sign_kind(head) or (text_kind(name, head) if kind in (None, "text") else None):
        return found
    keys = json_keys(head)
    if keys is not None and (keys & {"body", "turns"} or (kind is None and (named or not suffix_of(name)))):
        return "jsonl"
    return kind


def sign_kind(head: bytes) -> Kind | None:
    start = bare(head)
    return next((kind for kind, pattern in SIGNS if pattern.match(start)), None)


def text_kind(name: str, head: bytes) -> Kind | None:
    """The kind of a text that is more than running text."""
    if is_whatsapp(as_text(head)):
        return "whatsapp"
    has_ends = FORTUNE_END.search(head) and not PERCENT_LINE.search(head)
    return "fortunes" if has_ends and suffix_of(name) in FORTUNES and is_plain_text(head) else None


def bare(head: bytes) -> bytes:
    """What a file begins with, without white space and a byte-order mark."""
    return head.removeprefix(codecs.BOM_UTF8).lstrip()


def as_text(head: bytes) -> str:
    encoding = "utf-16" if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    return head.decode(encoding, "replace").replace("\r\n", "\n").replace("\r", "\n")


def is_plain_text(head: bytes) -> bool:
    """Whether a file begins with text that is written for people: no controls, and neither JSON nor HTML nor a script."""
    start = bare(head)
    return (
        bool(start)
        and not re.match(rb"[{\[<]|window\.|#!", start)
        and not re.search(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]", start)
    )


def suffix_of(name: str) -> str:
    """The suffix in lower case, without those of compression: .csv of jokes.csv.gz."""
    path = Path(name)
    while path.suffix.lower() in compression.SUFFIXES:
        path = path.with_suffix("")
    return path.suffix.lower()


def json_keys(head: bytes) -> set[str] | None:
    """The keys of the JSON object on the first line, or the first key if `head` does not hold all of it; None without one."""
    line, newline, _ = head.lstrip(b"\xef\xbb\xbf \t\r\n").partition(b"\n")
    try:
        return set(msgspec.json.decode(line, type=dict[str, msgspec.Raw])) if line.startswith(b"{") else None
    except WRONG_JSON:
        first = re.match(rb'\{\s*"(\w+)"\s*:', line)
        return {first[1].decode()} if first and not newline and len(head) == HEAD else None


def other_kind(head: bytes) -> str | None:
    """What a file is that is no text, in words, by its first bytes."""
    if compression.ZIP.match(head):
        return "an archive or an Office document"
    if head[257:262] == b"ustar":
        return "a tar archive"
    return next((what for magic, what in OTHERS.items() if head.startswith(magic)), None)
