"""What the bot says."""

from __future__ import annotations

import logging

from app.bot.chat_state import ChatState
from app.errors import PromptTooLong, StoreError, UnknownModel

log = logging.getLogger(__name__)
COMMANDS = {
    "joke": "a joke",
    "chat": "a conversation: I remember what we say",
    "reset": "the end of it: I forget what we said",
    "model": "who writes",
    "settings": "how daring, and how long",
    "stats": "what was liked so far",
    "help": "what I can do",
}
COUNTED = {"up": "👍 counted. Thank you!", "down": "👎 counted. Thank you!"}
VOTE_LOST = "Your vote could not be kept just now: please press again in a minute."
STORE_DOWN = "Settings and votes cannot be reached just now: please try again in a minute."
NOTHING = "Nothing came to mind. Please try again, or say it differently."
BROKEN = "Something went wrong here, and it has been noted."
UNREADABLE = "I can read only text."
OLD_BUTTON = "This button is of another time: please ask anew."
GONE = "The message that this answered is gone: please write it again."


def explain(error: Exception) -> str:
    """What a person is told of what went wrong."""
    if isinstance(error, StoreError):
        return STORE_DOWN
    if isinstance(error, PromptTooLong):
        read, window = error.n_prompt_tokens, error.n_ctx
        return f"That is too long for me: {read} tokens, and I can read {window}. Please shorten it."
    if isinstance(error, UnknownModel):
        return "The model that was chosen here is served no more: /model shows who is."
    log.error("an update could not be answered", exc_info=error)
    return BROKEN


def enough(wait: int) -> str:
    return f"That is enough for a minute: please wait {wait} s."


def refusal(person: int) -> str:
    return f"I answer only those who are named in TELEGRAM_ALLOW. Your id is {person}."


def overview() -> str:
    lines = [f"/{command} – {meaning}" for command, meaning in COMMANDS.items()]
    return "\n".join(["Write to me and I answer.", "", *lines])


def describe(chat: ChatState) -> str:
    return f"Temperature {chat.temperature:g}: higher is more daring.\nLength {chat.length}: tokens at most."
