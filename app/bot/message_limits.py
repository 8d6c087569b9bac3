"""Telegram's limit on the length of a message, which it counts in UTF-16 code units."""

from __future__ import annotations

from collections.abc import Iterable

LIMIT = 4096


def units(text: str) -> int:
    """The text's length in UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2


def cut(text: str, limit: int = LIMIT) -> str:
    """The longest beginning of the text that fits into `limit` units without splitting a character."""
    return text.encode("utf-16-le")[: 2 * limit].decode("utf-16-le", errors="ignore")


def without_spans(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """The text without these spans, each the offset and the length of a part in UTF-16 code units."""
    encoded = bytearray(text.encode("utf-16-le"))
    for offset, length in sorted(spans, reverse=True):
        del encoded[2 * offset : 2 * (offset + length)]
    return encoded.decode("utf-16-le", errors="ignore")


def span(text: str, offset: int, length: int) -> str:
    """A part of the text. `offset` and `length` are in UTF-16 code units."""
    return text.encode("utf-16-le")[2 * offset : 2 * (offset + length)].decode("utf-16-le", errors="ignore")
