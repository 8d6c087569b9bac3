"""/stats: what it costs, and how old its counts are."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.bot.query_cache import QueryCache
from app.bot.strings import STORE_DOWN, vote_counts
from app.errors import StoreError
from app.feedback.sqlite_store import SqliteStore
from app.feedback.store import Tally
from tests.bot.conftest import ask, bot, press
from tests.fakes.bigquery import Failure
from tests.fakes.bigquery.account import ADDRESS, google
from tests.feedback.stores import text, vote, with_store


class Billed(SqliteStore):
    """A store that counts how often it is asked for its counts, which are good for 300 seconds. `down` makes it fail."""

    tally_seconds = 300.0

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.asked = 0
        self.down = False

    async def tally(self) -> list[Tally]:
        self.asked += 1
        await asyncio.sleep(0)
        if self.down:
            raise StoreError("down")
        return await super().tally()


def test_counts_are_asked_for_once_in_five_minutes_and_their_age_is_known(tmp_path: Path) -> None:
    """Every /stats was once a query that Google bills, for anybody who wrote it as often as they liked."""

    async def work() -> None:
        store, now = Billed(str(tmp_path / "f.db")), 0.0
        cache = QueryCache(store.tally, store.tally_seconds, lambda: now)
        await store.add_text(text())
        together = await asyncio.gather(*(cache.result() for _ in range(50)))
        assert (store.asked, {result.age for result in together}) == (1, {0.0})
        await store.vote(vote("anna"))
        now = 299.0
        old = await cache.result()
        assert (store.asked, old.age, old.value[0].up) == (1, 299.0, 0)
        now = 300.0
        new = await cache.result()
        assert (store.asked, new.age, new.value[0].up) == (2, 0.0, 1)
        await store.close()

    asyncio.run(work())


def test_a_failure_is_not_kept(tmp_path: Path) -> None:
    async def work() -> None:
        store = Billed(str(tmp_path / "f.db"))
        cache = QueryCache(store.tally, store.tally_seconds)
        store.down = True
        results = await asyncio.gather(*(cache.result() for _ in range(5)), return_exceptions=True)
        assert [type(result) for result in results] == [StoreError] * 5
        assert store.asked == 1
        store.down = False
        assert (await cache.result()).value == []
        await store.close()

    asyncio.run(work())


def test_one_who_no_longer_waits_does_not_stop_the_others(tmp_path: Path) -> None:
    async def work() -> None:
        store = Billed(str(tmp_path / "f.db"))
        cache = QueryCache(store.tally, store.tally_seconds)
        first, second = (asyncio.create_task(cache.result()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).value == []
        assert store.asked == 1
        await store.close()

    asyncio.run(work())


def test_a_store_without_a_price_is_asked_every_time(tmp_path: Path) -> None:
    async def work(store: SqliteStore) -> None:
        cache = QueryCache(store.tally, store.tally_seconds)
        await store.add_text(text())
        for voter in range(3):
            assert (await cache.result()).value[0].up == voter
            await store.vote(vote(str(voter)))

    with_store(tmp_path / "f.db", work)


def test_many_who_ask_cost_one_query_in_bigquery(tmp_path: Path) -> None:
    with google(tmp_path) as fake, bot(feedback=ADDRESS) as telegram:
        said = ask(telegram, "/joke")
        # A failure is not counted, since the tables are made with the first row.
        fake.failures.append(Failure("POST .*/queries", status=403, reason="accessDenied", times=1))
        queries = fake.called("POST .*/queries")
        assert ask(telegram, "/stats")["text"] == STORE_DOWN
        for chat in range(10, 20):
            telegram.write(chat, "/stats")
        telegram.settle()
        assert fake.called("POST .*/queries") == queries + 2
        press(telegram, said, "👍")
        counts = {telegram.said(chat)[-1]["text"] for chat in range(10, 20)}
        assert counts == {"fake: 👍 0, 👎 0, texts 1"}


@pytest.mark.parametrize(("seconds", "said"), [(59.9, ""), (60, "Counted 1 min ago."), (299, "Counted 4 min ago.")])
def test_old_counts_say_so(seconds: float, said: str) -> None:
    counts = vote_counts([Tally("tiny", "model", 3, 2, 1)], seconds)
    assert counts == "tiny: 👍 2, 👎 1, texts 3" + (f"\n\n{said}" if said else "")
