"""Mails (.mbox, .eml): what each says itself, without headers, quotations, signatures and attachments."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterable, Iterator
from email.message import EmailMessage
from email.utils import getaddresses
from typing import NamedTuple

from finetune.data.html_text import html_text

LARGEST = 2**24
"""Bytes of a mail that are read: its texts come before its attachments."""
BEGINNING = re.compile(rb"From \S.*\d\d:\d\d")
# "On Monday, Anna wrote:" before a quotation, in the languages that end so, and what stands above a mail that is passed on.
INTRODUCTION = re.compile(
    r"^(?:On|Am|Le|El|Il|Em|Op|Den|W dniu|Dne)\b[^\n]{4,200}(?:\n[^\n]{0,120})?:[ \t]*$", re.MULTILINE
)
WROTE = re.compile(r"wrote|schrieb|écrit|escribió|scritto|escreveu|schreef|skrev|napisał|napsal")
PASSED_ON = re.compile(
    r"^(?:-{3,}\s?(?:Original|Forwarded|Ursprüngliche|Weitergeleitete|Message d'origine|Mensaje)[^\n]*|_{20,}|"
    r"(?:From|Von|De|Da): [^\n]+\n(?:Sent|Gesendet|Envoyé|Enviado|Inviato|Date|Datum): [^\n]*)$",
    re.MULTILINE,
)
SIGNATURE = re.compile(r"^(?:-- ?|Sent from my [^\n]{1,40}|Von meinem [^\n]{1,40} gesendet)$", re.MULTILINE)
QUOTED = re.compile(r"^[ \t]*>[^\n]*(?:\n|$)", re.MULTILINE)


class MailText(NamedTuple):
    text: str
    people: list[str]
    """The names of who wrote it and to whom."""


def read_mails(chunks: Iterable[bytes]) -> Iterator[MailText]:
    for lines in mails(chunks):
        message = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        if text := own_text(body_of(message)):
            people = [str(value) for header in ("From", "To", "Cc") for value in message.get_all(header, [])]
            yield MailText(text, [name for name, _ in getaddresses(people) if name and "@" not in name])


def mails(chunks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The lines of each mail. One begins with "From " after a blank line."""
    mail: list[bytes] = []
    size, blank = 0, True
    for line in byte_lines(chunks):
        if blank and BEGINNING.match(line):
            if mail:
                yield mail
            mail, size = [], 0
        elif size < LARGEST:
            mail.append(line[1:] if line.startswith(b">From ") else line)
            size += len(line)
        blank = not line.strip()
    if mail:
        yield mail


def byte_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line + b"\n" for line in lines)
    if rest:
        yield rest


def body_of(message: EmailMessage) -> str:
    """The text of a mail, which may be written as plain text, as HTML or as both; "" for one without."""
    body = message.get_body(("plain", "html"))
    if body is None:
        return ""
    data = body.get_payload(decode=True)
    assert isinstance(data, bytes)
    try:
        text = data.decode(body.get_content_charset("utf-8"), "replace")
    except LookupError:  # A charset that nobody knows.
        text = data.decode("utf-8", "replace")
    return html_text(text) if body.get_content_type() == "text/html" else text.replace("\r\n", "\n")


def own_text(text: str) -> str:
    """What the writer of a mail wrote: all up to the signature or a mail below, without what is quoted."""
    for end in (PASSED_ON, SIGNATURE):
        text = text[: found.start()] if (found := end.search(text)) else text
    text = INTRODUCTION.sub(lambda found: "" if WROTE.search(found[0]) else found[0], text)
    text = QUOTED.sub("", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()
