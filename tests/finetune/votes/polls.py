"""Votes for the tests: polls of a given outcome, and stores filled as the app fills them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from app.feedback import open_store
from app.feedback.store import Guess, ShownText, Vote
from finetune.votes.stored_votes import StoredGuess, StoredVote

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
            await store.add_text(shown(row))
            vote = Vote(text_id=row.text_id, voter=row.voter, value=row.value, channel="web", at=row.at)  # type: ignore[arg-type]
            await store.vote(vote)
        await store.close()

    asyncio.run(main())
    return address


def guesses(model: tuple[int, int], human: tuple[int, int]) -> list[StoredGuess]:
    """Right and wrong guesses at a model's texts, each another one, and at ten human texts; ten by each person, in turns."""
    rows = []
    for name, source, (right, wrong) in (("tiny", "model", model), ("jokes.txt", "human", human)):
        for n in range(right + wrong):
            guessed = source if n * right // (right + wrong) < (n + 1) * right // (right + wrong) else other(source)
            text = f"text {n}" if source == "model" else f"joke {n % 10}"
            voter = f"{name} {n // 10}"
            rows.append(StoredGuess(NOW, "web", name, source, guessed, voter, f"guess {name}:{n}", "", text, "{}"))
    return rows


def other(source: str) -> str:
    return "human" if source == "model" else "model"


def fill_guesses(address: str, rows: Iterable[StoredGuess]) -> str:
    """A store with these guesses, written as the app writes it. Returns its address."""

    async def main() -> None:
        store = open_store(address)
        for row in rows:
            await store.add_text(shown(row))
            guess = Guess(text_id=row.text_id, voter=row.voter, guessed=row.guessed, channel="web", at=row.at)  # type: ignore[arg-type]
            await store.guess(guess)
        await store.close()

    asyncio.run(main())
    return address


def shown(row: StoredVote | StoredGuess) -> ShownText:
    return ShownText(
        id=row.text_id,
        text=row.text,
        prompt=row.prompt,
        generated_by=row.generated_by,
        source=row.source,  # type: ignore[arg-type]
        channel="web",
        created=NOW,
        settings=json.loads(row.settings),
    )


def few() -> list[StoredVote]:
    prompt = "Why?"
    rows = [*votes(UGLY, 3, 1), *votes("jokes.txt", 2, 0, source="human")]
    return [
        row._replace(text=f"{UGLY} {n % 4} 👍🏽\nمرحبا", prompt=prompt, at=NOW + timedelta(days=n))
        for n, row in enumerate(rows)
    ]
