"""Buttons under messages, and what they send back when pressed: ACTION or ACTION:VALUE, in at most 64 bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from app.bot.chat_state import LENGTHS, TEMPERATURES, ChatState

VOTES = {"up": "👍", "down": "👎"}


def under_text(text_id: str | None, again: str) -> InlineKeyboardMarkup:
    """Votes, where there is an id to vote on, and another text: `again` is "joke" or "again"."""
    votes = [InlineKeyboardButton(sign, callback_data=f"{vote}:{text_id}") for vote, sign in VOTES.items() if text_id]
    return InlineKeyboardMarkup([[*votes, InlineKeyboardButton("Another", callback_data=again)]])


def of_models(names: Sequence[str], chosen: str) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(
        [[InlineKeyboardButton(mark(name, name == chosen), callback_data=f"model:{digest(name)}")] for name in names]
    )


def of_settings(chat: ChatState) -> InlineKeyboardMarkup:
    temperatures = [
        InlineKeyboardButton(mark(f"{value:g}", value == chat.temperature), callback_data=f"temperature:{value:g}")
        for value in TEMPERATURES
    ]
    lengths = [
        InlineKeyboardButton(mark(f"{value}", value == chat.length), callback_data=f"length:{value}")
        for value in LENGTHS
    ]
    return InlineKeyboardMarkup([temperatures, lengths])


def mark(label: str, chosen: bool) -> str:
    return f"✓ {label}" if chosen else label


def digest(name: str) -> str:
    """A model's name, however long, in a few bytes."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]
