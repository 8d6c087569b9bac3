"""The buttons under messages, and the data they send back: ACTION or ACTION:VALUE, at most 64 bytes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from app.bot.chat_state import AnotherAction, ChatSampling
from app.bot.strings import ALOUD, ANOTHER, GUESS_LABELS, MOODS, PLAY_NEXT, SIZES, VOTE_LABELS
from app.engine.profile import Profile


class VoteMarks(NamedTuple):
    """What the vote buttons show: counts, of which 0 is not shown, and the vote of the person who sees them, "up" or "down"."""

    up: int = 0
    down: int = 0
    mine: str = ""

    def label(self, vote: str) -> str:
        count = self.up if vote == "up" else self.down
        return f"{'✓ ' * (vote == self.mine)}{VOTE_LABELS[vote]}{f' {count}' if count else ''}"


NO_VOTES = VoteMarks()


def text_buttons(text_id: str | None, another: AnotherAction | None, *, aloud: bool = False) -> InlineKeyboardMarkup:
    """Buttons for both votes, for another text and to hear it; no votes if `text_id` is None because they are not stored."""
    row = [
        InlineKeyboardButton(NO_VOTES.label(vote), callback_data=f"{vote}:{text_id}") for vote in VOTE_LABELS if text_id
    ]
    if another:
        row.append(InlineKeyboardButton(ANOTHER, callback_data=another))
    if aloud:
        row.append(InlineKeyboardButton(ALOUD, callback_data="aloud"))
    return InlineKeyboardMarkup([row])


def with_marks(buttons: InlineKeyboardMarkup, marks: VoteMarks) -> InlineKeyboardMarkup:
    """The same buttons, of which those for votes show `marks`."""

    def marked(button: InlineKeyboardButton) -> InlineKeyboardButton:
        vote = str(button.callback_data).partition(":")[0]
        if vote not in VOTE_LABELS:
            return button
        return InlineKeyboardButton(marks.label(vote), callback_data=button.callback_data)

    return InlineKeyboardMarkup([[marked(button) for button in row] for row in buttons.inline_keyboard])


def guess_buttons(text_id: str) -> InlineKeyboardMarkup:
    guesses = [
        InlineKeyboardButton(label, callback_data=f"{action}:{text_id}") for action, label in GUESS_LABELS.items()
    ]
    return InlineKeyboardMarkup([guesses, [InlineKeyboardButton(PLAY_NEXT, callback_data="next")]])


def next_button(action: str, label: str) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup([[InlineKeyboardButton(label, callback_data=action)]])


def start_buttons(labels: Mapping[str, str]) -> InlineKeyboardMarkup:
    """A row for each of these labels, by their actions."""
    return InlineKeyboardMarkup(
        [[InlineKeyboardButton(label, callback_data=action)] for action, label in labels.items()]
    )


def model_buttons(profiles: Mapping[str, Profile], chosen: str) -> InlineKeyboardMarkup:
    """A button for each model, by its name: with its title, if no other model has the same."""
    titles = Counter(profile.title for profile in profiles.values())
    labels = {
        name: profile.title if profile.title and titles[profile.title] == 1 else name
        for name, profile in profiles.items()
    }
    return InlineKeyboardMarkup(
        [[choice(label, name == chosen, f"model:{digest(name)}")] for name, label in labels.items()]
    )


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
