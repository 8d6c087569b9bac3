"""WhatsApp's exports: a text file of messages, with dates as the phone of whoever exported it writes them.

    12/31/20, 11:59 PM - Anna: Happy new year!      Android
    [31.12.20, 23:59:59] Anna: Happy new year!      iPhone

What follows without a date belongs to the message before. Lines without an author are the app's own, and so is what begins with
a mark for the direction of writing: "image omitted", "Anna added you". Both are left out, and so is what stands for a file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice, pairwise
from typing import NamedTuple

from finetune.data.chats.sent_message import DIRECTION_MARKS, Chat, SentMessage

MORNING = ("a", "上午", "오전", "午前", "凌晨", "早上", "ص", "π", "sa")
EVENING = ("p", "下午", "오후", "午後", "中午", "晚上", "م", "μ", "sö", "ös", "ch")
HALF = (
    r"[AaPp]\.?\s?[Mm]\b\.?|上午|下午|오전|오후|午前|午後|凌晨|早上|中午|晚上|[صم](?=\W)|[πμ]\.?μ\.?|S[AÖ]\b|ÖÖ|ÖS|CH\b"
)
STAMP = re.compile(
    rf"""[\u200e\u200f\u061c\u202a-\u202e\ufeff]*(?P<bracket>\[)?[\u200e\u200f]*
    (?P<a>\d{{1,4}})[\u200e\u200f]*(?P<sign>[./-]|\.\ |年\ ?|년\ ?)[\u200e\u200f]*
    (?P<b>\d{{1,2}})[\u200e\u200f]*(?:[./-]|\.\ |月\ ?|월\ ?)[\u200e\u200f]*(?P<c>\d{{1,4}})(?:\.|日|일|\ г\.)?
    [,،]?[\u200e\u200f]*\s{{1,2}}[\u200e\u200f]*(?:klo\ |kl\.\ |um\ |at\ |à\ |alle\ |a\ las\ |в\ )?
    (?P<before>{HALF})?\s?
    (?P<hour>\d{{1,2}})[:.](?P<minute>\d{{2}})(?:[:.](?P<second>\d{{2}}))?
    (?:\s?(?P<after>{HALF})|\s(?:น|u|Uhr|h|ч)\b\.?)?
    (?(bracket)\]\s?|(?:\s?[-–—]\s|,\s(?=[^\n]+\ :\ )))""",
    re.VERBOSE,
)
LONGEST_NAME = 60
FEW = 4
"""Messages of an export in which nobody need write twice."""
LOG_LEVELS = {"DEBUG", "INFO", "NOTICE", "WARN", "WARNING", "ERROR", "CRITICAL", "FATAL", "TRACE"}
MOST_STAMPS = 20_000
"""Dates from which the order of day and month is found."""
# "<Media omitted>" in any language, and what stands behind a text: "<This message was edited>".
OMITTED = re.compile(r"[<‹][^<>‹›\n]{2,80}[>›]")
MARKED = re.compile(r"(?<![ \n])[ \n]*\u200e[<‹][^<>‹›\n]{2,80}[>›]")
# The same where no mark stands before it.
EDITED = re.compile(r"(?<![ \n])[ \n]+<[^\W\d_]+ [^<>\n]{8,80}>$")
ATTACHED = re.compile(r"[^\n]{1,120}\.\w{2,5} \([^()\n]{3,40}\)(?:\n|$)")
LOCATION = re.compile(r"[^\n]{0,40}https://maps\.google\.com/\?q=\S+$")
# Messages that were deleted, and calls, without the full stop.
NOT_SAID = {
    "null", "this message was deleted", "you deleted this message", "missed voice call", "missed video call",
    "diese nachricht wurde gelöscht", "du hast diese nachricht gelöscht", "se eliminó este mensaje", "eliminaste este mensaje",
    "ce message a été supprimé", "vous avez supprimé ce message", "questo messaggio è stato eliminato",
    "hai eliminato questo messaggio", "mensagem apagada", "essa mensagem foi apagada", "você apagou esta mensagem",
    "dit bericht is verwijderd", "u hebt dit bericht verwijderd", "bu mesaj silindi", "bu mesajı sildiniz",
    "сообщение удалено", "данное сообщение удалено", "вы удалили данное сообщение", "usunięto tę wiadomość",
}  # fmt: skip


class Stamp(NamedTuple):
    """The numbers of a date as they stand there, and the time in seconds of the day."""

    numbers: tuple[int, int, int]
    time: int
    has_half: bool
    sign: str


def is_whatsapp(head: str) -> bool:
    """Whether a file that begins so is such an export: its first line has a date, and somebody writes again and again.

    A diary has dates too, and a log has levels where the authors would be.
    """
    lines = [line for line in head.split("\n") if line.strip()]
    if not lines or not STAMP.match(lines[0]):
        return False
    authors = [split_author(line[match.end() :])[0] for line in lines if (match := STAMP.match(line))]
    counts = Counter(filter(None, authors))
    again = len(authors) < FEW or any(count > 1 for count in counts.values())
    return bool(counts) and again and not counts.keys() & LOG_LEVELS


def read_whatsapp(order: str, lines: Iterable[str]) -> Chat:
    """The messages of an export whose dates have this order."""
    author, said, at = "", list[str](), 0.0
    for line in lines:
        match = STAMP.match(line)
        if not match or not (moment := moment_of(stamp_of(match), order)):
            said.append(line)
            continue
        yield from message_of(author, "".join(said), at)
        author, said, at = *split_author(line[match.end() :]), moment
    yield from message_of(author, "".join(said), at)


def split_author(rest: str) -> tuple[str, list[str]]:
    """Who wrote, "" for the app itself, and the first line of what was written."""
    name, colon, text = rest.partition(":")
    name = DIRECTION_MARKS.sub("", name).strip().removeprefix("~").strip()
    if not colon or (text and not text[0].isspace()) or len(name) > LONGEST_NAME or re.search('["“”«»]', name):
        return "", []
    return name, [text.removeprefix(" ")]


def message_of(author: str, text: str, at: float) -> Iterator[SentMessage]:
    """The message, unless it is the app's own or stands for a file."""
    text = MARKED.sub("", text) if "\u200e" in text else text
    if not author or text.lstrip().startswith("\u200e") or text.startswith("\u200f\u200e"):
        return
    text = EDITED.sub("", DIRECTION_MARKS.sub("", text).strip())
    if file := ATTACHED.match(text):
        text = text[file.end() :].strip()
    if (
        text
        and not OMITTED.fullmatch(text)
        and not LOCATION.fullmatch(text)
        and text.casefold().rstrip(".") not in NOT_SAID
    ):
        yield SentMessage(author, text, at)


def stamp_of(match: re.Match[str]) -> Stamp | None:
    """None for what is no time of a day."""
    hour, minute, second = (int(match[name] or 0) for name in ("hour", "minute", "second"))
    half = (match["before"] or match["after"] or "").casefold()
    if half:
        hour = hour % 12 + 12 * half.startswith(EVENING) if not half.startswith(("凌晨", "早上")) else hour
    if hour > 23 or minute > 59 or second > 59:
        return None
    return Stamp(
        (int(match["a"]), int(match["b"]), int(match["c"])),
        hour * 3600 + minute * 60 + second,
        bool(half),
        match["sign"],
    )


def date_order(lines: Iterable[str]) -> str:
    """How an export writes dates: "dmy", "mdy" or "ymd"; that by which fewest messages are older than the one before them."""
    found = (stamp for line in lines if (match := STAMP.match(line)) and (stamp := stamp_of(match)))
    stamps = list(islice(found, MOST_STAMPS))
    if not stamps:
        return "dmy"
    usual = "mdy" if stamps[0].has_half and stamps[0].sign == "/" else "dmy"

    def wrong(order: str) -> tuple[int, int, bool]:
        moments = [moment_of(stamp, order) for stamp in stamps]
        known = [moment for moment in moments if moment is not None]
        return moments.count(None), sum(late > early for late, early in pairwise(known)), order != usual

    return min(("dmy", "mdy", "ymd"), key=wrong)


def moment_of(stamp: Stamp | None, order: str) -> float | None:
    """A date and time in seconds; None where there is no such day."""
    if stamp is None:
        return None
    year, month, day = (stamp.numbers[order.index(part)] for part in "ymd")
    try:
        return datetime(year + 2000 * (year < 100), month, day).toordinal() * 86400.0 + stamp.time  # Of that phone.
    except ValueError:
        return None
