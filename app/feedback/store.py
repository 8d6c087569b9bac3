"""What a store of texts and votes keeps and promises; SqliteStore and BigQueryStore are two of a kind.

What returns is stored: a vote is acknowledged after that and not before. A store that cannot be reached, read or written
raises StoreError, and nothing of what it was given counts. No method blocks the event loop.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple, Protocol

import msgspec

DAY = 24 * 60 * 60

Channel = Literal["telegram", "web"]
Source = Literal["model", "human"]
# Its digits are safe in addresses and in a button's data, which holds 64 bytes.
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=22)]


class ShownText(msgspec.Struct, frozen=True, kw_only=True):
    """A text that was shown. `generated_by` is the bundle's name or the human texts' file's; `created` is in UTC."""

    id: Id
    text: str
    prompt: str
    generated_by: str
    source: Source
    channel: Channel
    created: datetime
    settings: dict[str, Any] = {}  # msgspec copies an empty default.


class Vote(msgspec.Struct, frozen=True, kw_only=True):
    """What a person thinks of a text. `voter` tells people apart without telling who they are; `at` is in UTC."""

    text_id: Id
    voter: str
    value: Literal[1, -1]
    channel: Channel
    at: datetime


class Tally(NamedTuple):
    """How many texts there are of one origin, and the votes on them that count."""

    generated_by: str
    source: Source
    texts: int
    up: int
    down: int


class Store(Protocol):
    async def add_text(self, text: ShownText) -> None:
        """Keep a text. One whose id is there already changes nothing."""

    async def text(self, text_id: str) -> ShownText | None: ...

    async def vote(self, vote: Vote) -> None:
        """Keep a vote. Of several by one voter on one text, the latest counts.

        Raises NotFound where the text is unknown and the store can tell: BigQuery cannot without a query, which costs.
        """

    async def tally(self) -> list[Tally]:
        """By origin, in alphabetical order."""

    async def finished(self, update_id: int) -> bool:
        """Whether this update of Telegram's was finished within the last day. BigQuery knows only of this process."""

    async def finish(self, update_id: int) -> None: ...

    async def chat(self, chat_id: str) -> bytes | None:
        """What `keep_chat` kept last."""

    async def keep_chat(self, chat_id: str, state: bytes) -> None: ...

    async def close(self) -> None: ...


def new_id() -> str:
    """Sixteen characters, by chance."""
    return secrets.token_urlsafe(12)


def moment(at: datetime) -> str:
    """In UTC and always as long, so that later times sort later."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")
