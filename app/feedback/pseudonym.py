"""Pseudonyms: people and chats of Telegram are stored under names that hide their ids."""

from __future__ import annotations

import hashlib
import hmac


def pseudonym(key: bytes, telegram_id: int) -> str:
    """A name for a person or chat that hides its Telegram id from everybody without the key (HMAC-SHA-256)."""
    return hmac.new(key, str(telegram_id).encode(), hashlib.sha256).hexdigest()[:32]
