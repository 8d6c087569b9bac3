"""The store in BigQuery, through Google's own client: an acknowledged row is stored once, and a failure is reported."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
from google.cloud.bigquery import Client

from app.engine.fake import FakeEngine
from app.errors import StoreError
from app.feedback import open_store
from app.feedback.store import Store, Tally
from tests.bot.conftest import MESSAGE, SECRET_HEADER, bot
from tests.conftest import serving
from tests.fakes.bigquery import BigQuery, Failure
from tests.fakes.bigquery.account import ADDRESS, google
from tests.fakes.hostile_server import RETRIED, hostile_server
from tests.feedback.stores import guess, liked_texts_are_counted, text, vote

VOTES = "jokes-1.ratings.votes"
GUESSES = "jokes-1.ratings.guesses"


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[BigQuery]:
    with google(tmp_path) as found:
        yield found


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.feedback.bigquery_store.PATIENCE", 0.6)


def with_store(work: Callable[[Store], Coroutine[Any, Any, Any]]) -> Any:
    async def main() -> Any:
        store = open_store(ADDRESS)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(main())


async def refused(work: Coroutine[Any, Any, Any]) -> None:
    with pytest.raises(StoreError, match="cannot be stored or read right now: try again later"):
        await work


def test_texts_and_votes_come_back(fake: BigQuery) -> None:
    """The first row finds neither table nor dataset, and creates both."""
    kept = text(text="<b>👍🏽</b> مرحبا\n", prompt="", settings={"temperature": 0.7})

    async def work(store: Store) -> None:
        assert (await store.text("t"), await store.tally(), await store.chat("1")) == (None, [], None)
        await store.add_text(kept)
        await store.add_text(kept)
        assert await store.text("t") == kept
        assert await store.text("none") is None
        await store.add_text(text("human", generated_by="jokes.txt", source="human"))
        assert await store.tally() == [Tally("jokes.txt", "human", 1, 0, 0), Tally("tiny", "model", 1, 0, 0)]
        votes: list[tuple[Literal[1, -1], float]] = [(-1, 0), (1, 2), (-1, 1)]
        for value, after in votes:
            await store.vote(vote("anna", value, after=after))
        assert await store.tally() == [Tally("jokes.txt", "human", 1, 0, 0), Tally("tiny", "model", 1, 1, 0)]

    with_store(work)


def test_many_voters_at_once_are_counted_exactly(fake: BigQuery) -> None:
    async def work(store: Store) -> list[Tally]:
        await store.add_text(text())
        votes = [vote(str(number), 1 if number % 3 else -1) for number in range(60)]
        votes += [vote(str(number), -1, after=1) for number in range(20)]
        await asyncio.gather(*(store.vote(one) for one in reversed(votes)))
        return await store.tally()

    assert with_store(work) == [Tally("tiny", "model", 1, 27, 33)]


def test_a_dataset_of_before_there_were_guesses_gets_a_table_and_keeps_its_votes(fake: BigQuery) -> None:
    async def fill(store: Store) -> None:
        await store.add_text(text())
        await store.vote(vote("anna"))
        Client("jokes-1").delete_table(GUESSES)

    async def guessed(store: Store) -> list[Tally]:
        await store.guess(guess("anna", "human"))
        await store.guess(guess("anna", "model"))
        return await store.tally()

    with_store(fill)
    assert with_store(guessed) == [Tally("tiny", "model", 1, 1, 0)]
    assert [(row["voter"], row["guessed"]) for row in fake.rows(GUESSES)] == [("anna", "human"), ("anna", "model")]


def test_texts_that_are_liked_are_found(fake: BigQuery) -> None:
    with_store(liked_texts_are_counted)


def test_a_chat_comes_back_as_it_was_stored_last(fake: BigQuery) -> None:
    async def work(store: Store) -> None:
        for state in (b"first", b"\0\xff"):
            await store.keep_chat("1", state)
            assert await store.chat("1") == state
        assert await store.chat("2") is None

    with_store(work)


def test_an_update_delivered_again_is_answered_once_although_bigquery_keeps_no_update_log(fake: BigQuery) -> None:
    """The running process remembers it. The store once kept a second memory of its own for that."""
    assert open_store(ADDRESS).update_log is None
    update = {"update_id": 5, "message": MESSAGE | {"text": "/joke"}}
    with bot(feedback=ADDRESS) as telegram:
        telegram.write(7, "/help")
        telegram.settle()
        for _ in range(3):
            reply = httpx.post(telegram.webhook["url"], json=update, headers=SECRET_HEADER, timeout=30)
            assert reply.status_code == 200
        assert len(telegram.said(7)) == 2
    assert len(fake.rows("jokes-1.ratings.texts")) == 1


@pytest.mark.parametrize("done", [False, True])
def test_a_row_that_fails_for_a_while_is_stored_once(fake: BigQuery, done: bool) -> None:
    """Also if BigQuery stored it and only the answer was lost."""

    async def work(store: Store) -> None:
        await store.vote(vote("anna"))
        fake.failures.append(Failure("insertAll", times=2, done=done))
        await store.vote(vote("otto"))

    with_store(work)
    assert sorted(row["voter"] for row in fake.rows(VOTES)) == ["anna", "otto"]
    assert fake.called("votes/insertAll") == 5


def test_a_table_just_made_may_be_missing_for_a_while(fake: BigQuery) -> None:
    fake.failures.append(Failure("insertAll", status=404, reason="notFound", message="Table not found.", times=3))
    with_store(lambda store: store.vote(vote("anna")))
    assert len(fake.rows(VOTES)) == 1


def test_a_forbidden_call_is_reported_and_not_retried(fake: BigQuery, caplog: pytest.LogCaptureFixture) -> None:
    message = "Permission bigquery.tables.updateData denied on table votes."
    fake.failures.append(Failure("insertAll", status=403, reason="accessDenied", message=message, times=9))
    with_store(lambda store: refused(store.add_text(text(text="what nobody should read in a log"))))
    assert fake.called("insertAll") == 1
    assert message in caplog.text
    assert "nobody" not in caplog.text


def test_a_server_that_is_down_is_reported_and_works_again_afterwards(
    fake: BigQuery, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(store: Store) -> None:
        await store.add_text(text())
        fake.failures.append(Failure(".", times=1000))
        with monkeypatch.context() as hurry:
            hurry.setattr("app.feedback.bigquery_store.PATIENCE", 0.6)
            for call in (store.vote(vote("anna")), store.text("t"), store.tally(), store.chat("1")):
                await refused(call)
        fake.failures.clear()
        await store.vote(vote("anna"))
        assert await store.tally() == [Tally("tiny", "model", 1, 1, 0)]

    with_store(work)


@pytest.mark.usefixtures("hurried")
def test_an_unreachable_server_is_reported(fake: BigQuery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "http://127.0.0.1:9")
    with_store(lambda store: refused(store.vote(vote("anna"))))


def test_a_missing_account_is_reported(fake: BigQuery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with_store(lambda store: refused(store.vote(vote("anna"))))


def test_tables_with_other_columns_are_reported(fake: BigQuery, caplog: pytest.LogCaptureFixture) -> None:
    fake.load(VOTES, [], {"voter": "STRING"})
    with_store(lambda store: refused(store.vote(vote("anna"))))
    assert "BigQuery refused the row: invalid in text_id" in caplog.text


def test_votes_from_web_pages_are_stored(fake: BigQuery) -> None:
    with serving(FakeEngine(), feedback=ADDRESS) as url:
        ask = {"vote": "up", "text": "a", "voter": "anna"}
        assert httpx.post(f"{url}/feedback", json=ask).status_code == 200
        fake.failures.append(Failure("votes/insertAll", status=403, reason="accessDenied"))
        assert httpx.post(f"{url}/feedback", json=ask | {"vote": "down"}).status_code == 503
    assert [(row["voter"], row["value"]) for row in fake.rows(VOTES)] == [("anna", 1)]


def test_a_call_that_hangs_does_not_keep_the_process(fake: BigQuery, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python waits for such a thread before it exits: SIGTERM took 15 s while BigQuery was silent."""

    async def work(store: Store) -> None:
        await refused(store.vote(vote("anna")))
        server.answer = RETRIED["silence"]
        monkeypatch.setattr("app.feedback.bigquery_store.PATIENCE", 0.3)
        await refused(store.vote(vote("anna")))

    with hostile_server() as server:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", server.url)
        with_store(work)
        for thread in threading.enumerate():
            if thread.name.startswith("feedback"):
                thread.join(6)  # Its own bound is eight seconds.
                assert not thread.is_alive()
