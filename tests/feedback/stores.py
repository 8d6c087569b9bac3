"""Texts and votes to store, and a SQLite store to put them in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from app.feedback.sqlite_store import SqliteStore
from app.feedback.store import Guess, LikedText, ShownText, Source, Store, TextVotes, Vote

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def text(text_id: str = "t", **changes: Any) -> ShownText:
    values = {"text": "Because.", "prompt": "Why?", "generated_by": "tiny", "source": "model", "channel": "telegram"}
    return ShownText(id=text_id, **{"created": NOW} | values | changes)


def vote(voter: str, value: Literal[1, -1] = 1, text_id: str = "t", after: float = 0) -> Vote:
    at = NOW + timedelta(seconds=after)
    return Vote(text_id=text_id, voter=voter, value=value, channel="telegram", at=at)


def guess(voter: str, guessed: Source, text_id: str = "t") -> Guess:
    return Guess(text_id=text_id, voter=voter, guessed=guessed, channel="web", at=NOW)


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(str(path))
    try:
        yield store
    finally:
        await store.close()


def with_store(path: Path, work: Callable[[SqliteStore], Coroutine[Any, Any, Any]]) -> Any:
    async def main() -> Any:
        async with opened(path) as store:
            return await work(store)

    return asyncio.run(main())


async def liked_texts_are_counted(store: Store) -> None:
    """Both stores count the votes on a text, and find the texts that are liked and hold no words of any person."""
    own: dict[str, Any] = {"settings": {"temperature": 0.7, "own_words": True}}
    await store.add_text(text("old", text="Old.", created=NOW - timedelta(days=8), **own))
    await store.add_text(text("new", text="New.", **own))
    await store.add_text(text("even", **own))
    await store.add_text(text("asked", settings={"temperature": 0.7}))
    await store.add_text(text("web", **own | {"channel": "web"}))
    await store.add_text(text("human", **own | {"source": "human"}))
    for each in ("old", "new", "even", "asked", "web", "human"):
        await store.vote(vote("anna", 1, each))
        await store.vote(vote("otto", -1, each))
        await store.vote(vote("otto", -1 if each == "even" else 1, each, after=1))
    await store.vote(vote("emil", -1, "old"))
    assert await store.text_votes("old") == TextVotes(2, 1)
    assert await store.text_votes("none") == TextVotes(0, 0)
    new, old = LikedText("Why?", "New.", 2, 0), LikedText("Why?", "Old.", 2, 1)
    assert await store.liked_texts() == [new, old]
    assert await store.liked_texts(NOW - timedelta(days=7)) == [new]
