"""Texts and votes to store, and a SQLite store to put them in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from app.feedback.sqlite_store import SqliteStore
from app.feedback.store import ShownText, Vote

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def text(text_id: str = "t", **changes: Any) -> ShownText:
    values = {"text": "Because.", "prompt": "Why?", "generated_by": "tiny", "source": "model", "channel": "telegram"}
    return ShownText(id=text_id, created=NOW, **values | changes)


def vote(voter: str, value: Literal[1, -1] = 1, text_id: str = "t", after: float = 0) -> Vote:
    at = NOW + timedelta(seconds=after)
    return Vote(text_id=text_id, voter=voter, value=value, channel="telegram", at=at)


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
