"""The buttons under messages, and the data they send back: ACTION or ACTION:VALUE, at most 64 bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from app.bot.chat_state import ChatSampling
from app.bot.strings import ANOTHER, MOODS, SIZES, VOTE_LABELS

# What the button for another text asks for: another joke, or another answer to the same message.
AnotherAction = Literal["joke", "again"]


def text_buttons(text_id: str | None, another: AnotherAction) -> InlineKeyboardMarkup:
    """Buttons for both votes and for another text; no votes if `text_id` is None because they are not stored."""
    votes = [
        InlineKeyboardButton(label, callback_data=f"{vote}:{text_id}") for vote, label in VOTE_LABELS.items() if text_id
    ]
    return InlineKeyboardMarkup([[*votes, InlineKeyboardButton(ANOTHER, callback_data=another)]])


def start_buttons(labels: Mapping[str, str]) -> InlineKeyboardMarkup:
    """A row for each of these labels, by their actions."""
    return InlineKeyboardMarkup(
        [[InlineKeyboardButton(label, callback_data=action)] for action, label in labels.items()]
    )


def model_buttons(names: Sequence[str], chosen: str) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup([[choice(name, name == chosen, f"model:{digest(name)}")] for name in names])


def settings_buttons(chosen: ChatSampling) -> InlineKeyboardMarkup:
    temperatures = [
        choice(mood, value == chosen.temperature, f"temperature:{value:g}") for value, mood in MOODS.items()
    ]
    lengths = [choice(size, value == chosen.length, f"length:{value}") for value, size in SIZES.items()]
    return InlineKeyboardMarkup([temperatures, lengths])


def choice(label: str, chosen: bool, data: str) -> InlineKeyboardButton:
    return InlineKeyboardButton(f"✓ {label}" if chosen else label, callback_data=data)


def digest(name: str) -> str:
    """A model's name in 16 characters, since names may be longer than a button's data."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]
