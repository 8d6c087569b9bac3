"""Votes for the tests: polls of a given outcome, and stores filled as the app fills them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from app.feedback import open_store
from app.feedback.store import ShownText, Vote
from finetune.votes.stored_votes import StoredVote

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
UGLY = "$x$ <b onclick=x>&"


def votes(by: str, ups: int, downs: int, source: str = "model", each: int = 1) -> list[StoredVote]:
    """Votes, each on a text of its own; each person gives `each` of them, one after another."""
    return [
        StoredVote(NOW, "web", by, source, 1 if n < ups else -1, f"{by} {n // each}", f"{by}:{n}", "", "text", "{}")
        for n in range(ups + downs)
    ]


def fill(address: str, rows: Iterable[StoredVote]) -> str:
    """A store with these votes, written as the app writes it. Returns its address."""

    async def main() -> None:
        store = open_store(address)
        for row in rows:
            text = ShownText(
                id=row.text_id,
                text=row.text,
                prompt=row.prompt,
                generated_by=row.generated_by,
                source=row.source,  # type: ignore[arg-type]
                channel="web",
                created=NOW,
                settings=json.loads(row.settings),
            )
            await store.add_text(text)
            vote = Vote(text_id=row.text_id, voter=row.voter, value=row.value, channel="web", at=row.at)  # type: ignore[arg-type]
            await store.vote(vote)
        await store.close()

    asyncio.run(main())
    return address


def few() -> list[StoredVote]:
    prompt = "Why?"
    rows = [*votes(UGLY, 3, 1), *votes("jokes.txt", 2, 0, source="human")]
    return [
        row._replace(text=f"{UGLY} {n % 4} 👍🏽\nمرحبا", prompt=prompt, at=NOW + timedelta(days=n))
        for n, row in enumerate(rows)
    ]
