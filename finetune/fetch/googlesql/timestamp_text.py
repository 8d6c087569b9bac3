"""Timestamps as text: the forms of GoogleSQL's TIMESTAMP literals, as microseconds since 1970."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

FORM = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[ Tt](\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,6}))?)?"
    r"(?:([Zz])|([+-])(\d{1,2})(?::(\d{2}))?| ([A-Za-z]\w*(?:/[\w+-]+)*))?",
    re.ASCII,
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros_of(text: str) -> int:
    """Raises ValueError if the text is no timestamp. Without a time zone it is in UTC."""
    found = FORM.fullmatch(text)
    if not found:
        raise ValueError(text)
    *numbers, fraction, _, sign, hours, minutes, name = found.groups()
    year, month, day, hour, minute, second = (int(number or 0) for number in numbers)
    zone = zone_named(name) if name else timezone(offset(sign, hours, minutes))
    moment = datetime(year, month, day, hour, minute, second, int((fraction or "").ljust(6, "0")), zone)
    micros = (moment - EPOCH) // timedelta(microseconds=1)
    if not -62_135_596_800_000_000 <= micros <= 253_402_300_799_999_999:
        raise ValueError(text)
    return micros


def offset(sign: str | None, hours: str | None, minutes: str | None) -> timedelta:
    found = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    if found > timedelta(hours=14) or int(minutes or 0) > 59:
        raise ValueError(hours)
    return -found if sign == "-" else found


def zone_named(name: str) -> ZoneInfo:
    """Raises ValueError for a time zone that does not exist."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError):
        raise ValueError(name) from None
