"""The contract of a store for texts, votes and guesses, which SqliteStore and BigQueryStore fulfil.

A method that returns has stored what it was given, so a vote is acknowledged only after that. A method that raises StoreError
has stored nothing. No method blocks the event loop.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple, Protocol

import msgspec

DAY = 24 * 60 * 60

Channel = Literal["telegram", "web"]
Source = Literal["model", "human"]
# Its characters are safe in URLs and in a Telegram button's data, which holds 64 bytes.
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=22)]


class ShownText(msgspec.Struct, frozen=True, kw_only=True):
    """A text that somebody was shown.

    `generated_by` is the model's name or, for texts by people, the name of their file. `created` is in UTC.
    """

    id: Id
    text: str
    prompt: str
    generated_by: str
    source: Source
    channel: Channel
    created: datetime
    settings: dict[str, Any] = {}  # msgspec copies an empty default.


class Vote(msgspec.Struct, frozen=True, kw_only=True):
    """One person's vote on a text: 1 or -1. `voter` is a pseudonym. `at` is in UTC."""

    text_id: Id
    voter: str
    value: Literal[1, -1]
    channel: Channel
    at: datetime


class Guess(msgspec.Struct, frozen=True, kw_only=True):
    """One person's guess who wrote a text that was shown without its author. `voter` is a pseudonym. `at` is in UTC."""

    text_id: Id
    voter: str
    guessed: Source
    channel: Channel
    at: datetime


OWN_WORDS = "own_words"
"""The setting of a text that holds no words of any person: it may be shown to others."""


class TextVotes(NamedTuple):
    """The votes on one text. Each voter's latest vote counts."""

    up: int
    down: int


class LikedText(NamedTuple):
    """A text that may be shown to others, with the votes on it."""

    prompt: str
    text: str
    up: int
    down: int


class Tally(NamedTuple):
    """The number of texts by one author, and of the votes on them. Each voter's latest vote on a text counts."""

    generated_by: str
    source: Source
    texts: int
    up: int
    down: int


class UpdateLog(Protocol):
    """The Telegram updates that were handled in the last 24 hours. It survives a restart."""

    async def finished(self, update_id: int) -> bool:
        """Whether this update has been handled. Raises StoreError."""

    async def finish(self, update_id: int) -> None:
        """Note that this update has been handled. Raises StoreError."""


class Store(Protocol):
    """Every method raises StoreError when the store cannot be reached, read or written."""

    @property
    def update_log(self) -> UpdateLog | None:
        """None for BigQuery, where each look-up would be a query that takes about a second and is billed as 10 MB."""

    @property
    def tally_seconds(self) -> float:
        """How long a tally is good enough to be shown again. More than 0 for BigQuery, which bills each query."""

    async def add_text(self, text: ShownText) -> None:
        """Store a text. Does nothing if a text with this id is stored already."""

    async def text(self, text_id: str) -> ShownText | None:
        """The text with this id, or None."""

    async def vote(self, vote: Vote) -> None:
        """Store a vote. When a person votes on a text several times, the latest vote counts.

        Raises UnknownText if there is no such text. BigQuery does not check that, because the check would be a query of its own.
        """

    async def guess(self, guess: Guess) -> None:
        """Store a guess. When a person guesses at a text several times, the first guess counts, since the author is known then.

        Raises UnknownText if there is no such text. BigQuery does not check that, as for votes.
        """

    async def tally(self) -> list[Tally]:
        """One row for each author, in alphabetical order."""

    async def text_votes(self, text_id: str) -> TextVotes:
        """The votes on one text."""

    async def liked_texts(self, since: datetime | None = None) -> list[LikedText]:
        """Up to 200 texts by models, written `since` then, with more votes for than against them: those with most votes first.

        They have OWN_WORDS and come from Telegram: others hold what somebody wrote.
        """

    async def chat(self, chat_id: str) -> bytes | None:
        """The state that `keep_chat` stored last, or None."""

    async def keep_chat(self, chat_id: str, state: bytes) -> None:
        """Store the state of a chat in place of the last one. `chat_id` is a pseudonym."""

    async def close(self) -> None:
        """Finish the calls that have begun, then close files and connections."""


def new_id() -> str:
    """Sixteen random characters."""
    return secrets.token_urlsafe(12)


def timestamp(at: datetime) -> str:
    """The time in UTC, in ISO 8601 with microseconds: the length is fixed, so sorting the strings sorts the times."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")
