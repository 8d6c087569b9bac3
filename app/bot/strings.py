"""Everything the bot says: messages, notices, and the labels of its buttons and commands."""

from __future__ import annotations

from collections.abc import Sequence

from app.bot.chat_state import ChatSampling
from app.errors import PromptTooLong, StoreError, UnknownModel
from app.feedback.store import Tally

COMMANDS = {
    "joke": "tell a joke",
    "chat": "start a conversation that I remember",
    "reset": "end the conversation and forget it",
    "model": "choose the model that writes",
    "settings": "choose the temperature and the length",
    "stats": "show how the votes stand",
    "help": "show what I can do",
}
VOTE_LABELS = {"up": "👍", "down": "👎"}
ANOTHER = "Another"
THANKS = "\n\nThank you for your feedback."
VOTE_COUNTED = {"up": "👍 Your vote is counted. Thank you!", "down": "👎 Your vote is counted. Thank you!"}
VOTE_NOT_STORED = "Your vote could not be saved. Please press again in a minute."
VOTES_OFF = "Votes are not stored here."
STORE_DOWN = "I cannot reach my settings and votes right now. Please try again in a minute."
NOTHING_WRITTEN = "Nothing came to mind. Please try again, or say it differently."
INTERNAL_ERROR = "Something went wrong on my side, and the error has been logged."
ONLY_TEXT = "I can only read text."
EXPIRED_BUTTON = "This button has expired. Please ask again."
MESSAGE_GONE = "I can no longer see the message that this answers. Please send it again."
CHAT_STARTED = "From now on I remember what we say. Use /reset to end the conversation."
CHAT_ENDED = "I have forgotten our conversation. From now on I answer each message on its own."
MODEL_QUESTION = "Which model should write?"
MODEL_HIDDEN = "Here the author of each text is chosen at random, so that the votes are fair."
NO_TEXTS = "Nothing has been written yet."
MODEL_GONE = "The model chosen for this chat is no longer available. Use /model to choose another one."


def explain(error: Exception) -> str | None:
    """What to tell the person about an error, or None if the error is not one that they can do anything about."""
    if isinstance(error, StoreError):
        return STORE_DOWN
    if isinstance(error, PromptTooLong):
        tokens, window = error.n_prompt_tokens, error.n_ctx
        return f"That is too long for me: it has {tokens} tokens, and I can read {window}. Please shorten it."
    return MODEL_GONE if isinstance(error, UnknownModel) else None


def wait_please(seconds: int) -> str:
    return f"You have reached the limit for now. Please wait {seconds} s."


def not_allowed(person: int) -> str:
    return f"I only answer the people and chats listed in TELEGRAM_ALLOW. Your id is {person}."


def overview() -> str:
    lines = [f"/{command} – {meaning}" for command, meaning in COMMANDS.items()]
    return "\n".join(["Write to me and I will answer.", "", *lines])


def unknown_command(name: str) -> str:
    return f"I don't know the command /{name}. {overview()}"


def current_settings(chosen: ChatSampling) -> str:
    return (
        f"Temperature {chosen.temperature:g}: a higher temperature is more surprising.\n"
        f"Length {chosen.length}: a text has at most {chosen.length} tokens."
    )


def vote_counts(tallies: Sequence[Tally], age: float) -> str:
    """`age` is in seconds."""
    lines = [f"{tally.generated_by}: 👍 {tally.up}, 👎 {tally.down}, texts {tally.texts}" for tally in tallies]
    counted = f"\n\nCounted {age // 60:.0f} min ago." if age >= 60 else ""
    return ("\n".join(lines) or NO_TEXTS) + counted
