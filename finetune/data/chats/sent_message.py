"""A message of a chat: who wrote what, and when."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from app.engine.json_text import shortened
from app.errors import DataError

# Marks for the direction of writing, with which apps wrap names and numbers.
DIRECTION_MARKS = re.compile("[\u200e\u200f\u061c\u2066-\u2069\u202a-\u202e\ufeff]")


class SentMessage(NamedTuple):
    """`at` is in seconds, from any moment on."""

    author: str
    text: str
    at: float


Chat = Iterator[SentMessage]
"""The messages of one chat, oldest first."""


def moment(name: str, date: str) -> float:
    """A date in ISO's format, such as 2020-12-31T23:59:59.123+01:00, in seconds. Raises DataError naming the file."""
    try:
        at = datetime.fromisoformat(date.strip().removesuffix(" UTC"))
    except ValueError:
        raise DataError(f"{name} has a message of the date {shortened(repr(date))}: export it again.") from None
    return at.replace(tzinfo=at.tzinfo or UTC).timestamp()


def oldest_first(messages: Iterable[SentMessage]) -> Chat:
    return iter(sorted(messages, key=lambda message: message.at))
