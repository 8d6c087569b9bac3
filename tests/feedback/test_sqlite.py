"""The SQLite store: votes are exact, and what was acknowledged survives."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pytest

from app.errors import UnknownText
from app.feedback.sqlite_store import SqliteStore
from app.feedback.store import Store, Tally
from app.feedback.vote_clock import VoteClock
from tests.conftest import ROOT
from tests.feedback.stores import guess, liked_texts_are_counted, opened, text, vote, with_store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "feedback.db"


def test_a_text_comes_back_as_it_was(path: Path) -> None:
    kept = text(text="<b>👍🏽</b>\0 مرحبا\n", prompt="", settings={"temperature": 0.7, "stop": ["a"]})

    async def work(store: Store) -> None:
        await store.add_text(kept)
        await store.add_text(text(text="another with the same id"))
        assert await store.text("t") == kept
        assert await store.text("none") is None

    with_store(path, work)
    with_store(path, work)


def test_many_voters_at_once_are_counted_exactly(path: Path) -> None:
    """A thousand people, each of whom changes their mind, in whatever order."""

    async def work(store: Store) -> list[Tally]:
        await store.add_text(text())
        await store.add_text(text("human", generated_by="jokes.txt", source="human"))
        await store.add_text(text("unseen"))
        votes = [vote(str(number), value=1 if number % 3 else -1) for number in range(1000)]
        votes += [vote(str(number), value=-1, text_id="human", after=number) for number in range(10)]
        votes += [vote("0", value=1, after=5), vote("1", value=-1, after=-5)]
        await asyncio.gather(*(store.vote(one) for one in reversed(votes)), *(store.vote(one) for one in votes))
        return await store.tally()

    assert with_store(path, work) == [Tally("jokes.txt", "human", 1, 0, 10), Tally("tiny", "model", 2, 667, 333)]


def test_texts_that_are_liked_are_found(path: Path) -> None:
    with_store(path, liked_texts_are_counted)


def test_a_vote_can_be_changed_and_the_latest_counts(path: Path) -> None:
    async def work(store: Store) -> None:
        await store.add_text(text())
        votes: list[tuple[Literal[1, -1], float, int]] = [(1, 0, 1), (-1, 1, 0), (1, 0.5, 0), (1, 2, 1)]
        for value, after, ups in votes:
            await store.vote(vote("anna", value, after=after))
            assert await store.tally() == [Tally("tiny", "model", 1, ups, 1 - ups)]

    with_store(path, work)


def test_the_first_guess_of_a_person_counts(path: Path) -> None:
    async def work(store: Store) -> None:
        await store.add_text(text())
        for guessed in ("human", "model"):
            await store.guess(guess("anna", guessed))
        await store.guess(guess("otto", "model"))
        with pytest.raises(UnknownText, match="there is no text with this id"):
            await store.guess(guess("anna", "model", text_id="none"))
        assert await store.tally() == [Tally("tiny", "model", 1, 0, 0)]

    with_store(path, work)
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT voter, guessed FROM guesses").fetchall() == [("anna", "human"), ("otto", "model")]


def test_a_file_of_before_there_were_guesses_keeps_its_votes(path: Path) -> None:
    """It gets a table and stays readable for programs of before."""

    async def fill(store: Store) -> None:
        await store.add_text(text())
        await store.vote(vote("anna"))

    async def guessed(store: Store) -> list[Tally]:
        await store.guess(guess("anna", "human"))
        return await store.tally()

    with_store(path, fill)
    with closing(sqlite3.connect(path)) as older:
        older.execute("DROP TABLE guesses")
    assert with_store(path, guessed) == [Tally("tiny", "model", 1, 1, 0)]
    with closing(sqlite3.connect(path)) as older:
        assert older.execute("PRAGMA user_version").fetchone() == (1,)
        assert older.execute("SELECT count(*) FROM guesses").fetchone() == (1,)


def test_a_vote_on_no_text_is_refused(path: Path) -> None:
    async def work(store: Store) -> None:
        with pytest.raises(UnknownText, match="there is no text with this id"):
            await store.vote(vote("anna"))
        assert await store.tally() == []

    with_store(path, work)


def test_finished_updates_are_remembered_for_a_day(path: Path) -> None:
    async def finish(store: SqliteStore) -> None:
        assert not await store.finished(7)
        await store.finish(7)
        await store.finish(7)
        assert await store.finished(7)
        assert not await store.finished(8)

    async def remember(store: SqliteStore) -> None:
        assert await store.finished(7)

    async def forget(store: SqliteStore) -> None:
        assert not await store.finished(7)
        await store.finish(8)

    with_store(path, finish)
    with_store(path, remember)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("UPDATE updates SET finished = finished - 86401")
        with_store(path, forget)
        assert other.execute("SELECT id FROM updates").fetchall() == [(8,)]


def test_a_chat_comes_back_as_it_was_stored_last(path: Path) -> None:
    async def work(store: Store) -> None:
        assert await store.chat("1") in (None, b"second")
        await store.keep_chat("1", b"first")
        await store.keep_chat("2", b"")
        await store.keep_chat("1", b"second")
        assert (await store.chat("1"), await store.chat("2")) == (b"second", b"")

    with_store(path, work)
    with_store(path, work)


KILLED = """
import asyncio, sys
from app.feedback.sqlite_store import SqliteStore
from tests.feedback.stores import text, vote

async def main():
    store = SqliteStore(sys.argv[1])
    await store.add_text(text())
    for number in range(1000000):
        await store.vote(vote(str(number)))
        print(number, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("acknowledged", [1, 40])
def test_acknowledged_votes_survive_kill_9(path: Path, acknowledged: int) -> None:
    command = [sys.executable, "-c", KILLED, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
        assert child.stdout is not None
        for _ in range(acknowledged):
            child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        seen = acknowledged + len(child.stdout.readlines())
    [tally] = with_store(path, lambda store: store.tally())
    assert seen <= tally.up <= seen + 1


def test_two_processes_may_share_a_file(path: Path) -> None:
    """Two stores stand for them: each has its own connection, and the first creates the tables."""

    async def main() -> list[Tally]:
        async with opened(path) as one, opened(path) as other:
            await asyncio.gather(one.add_text(text()), other.add_text(text()))
            await asyncio.gather(*(store.vote(vote(str(n))) for n in range(100) for store in (one, other)))
            return await other.tally()

    assert asyncio.run(main()) == [Tally("tiny", "model", 1, 100, 0)]


def test_a_vote_counts_after_the_clock_was_set_back(path: Path) -> None:
    """It was acknowledged and dropped, since the one before seemed later, until the clock had caught up."""

    async def work(store: Store) -> Any:
        await store.add_text(text())
        await store.vote(vote("anna", 1, after=3600))
        await store.vote(vote("anna", -1))
        return await store.text_votes("t")

    assert with_store(path, work) == (0, 1)


def test_votes_of_one_process_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(datetime):
        hours = 5

        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime(2026, 1, 1, cls.hours, tzinfo=tz)

    monkeypatch.setattr("app.feedback.vote_clock.datetime", Clock)
    clock = VoteClock()
    first = clock.now()
    Clock.hours = 2
    second = clock.now()
    Clock.hours = 9
    assert first < second < clock.now()
