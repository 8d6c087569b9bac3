"""The votes are exact, whatever happens to the process, the disk and the file."""

from __future__ import annotations

import asyncio
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from app.errors import NotFound, SettingError, StoreError
from app.feedback import open_store
from app.feedback.sqlite_store import SqliteStore
from app.feedback.store import ShownText, Store, Tally, Vote, new_id
from tests.conftest import ROOT

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


def with_store(path: Path, work: Callable[[Store], Coroutine[Any, Any, Any]]) -> Any:
    async def main() -> Any:
        async with opened(path) as store:
            return await work(store)

    return asyncio.run(main())


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


def test_a_vote_can_be_changed_and_the_latest_counts(path: Path) -> None:
    async def work(store: Store) -> None:
        await store.add_text(text())
        votes: list[tuple[Literal[1, -1], float, int]] = [(1, 0, 1), (-1, 1, 0), (1, 0.5, 0), (1, 2, 1)]
        for value, after, ups in votes:
            await store.vote(vote("anna", value, after=after))
            assert await store.tally() == [Tally("tiny", "model", 1, ups, 1 - ups)]

    with_store(path, work)


def test_a_vote_on_no_text_is_refused(path: Path) -> None:
    async def work(store: Store) -> None:
        with pytest.raises(NotFound, match="there is no text with this id"):
            await store.vote(vote("anna"))
        assert await store.tally() == []

    with_store(path, work)


def test_updates_are_finished_for_a_day(path: Path) -> None:
    async def finish(store: Store) -> None:
        assert not await store.finished(7)
        await store.finish(7)
        await store.finish(7)
        assert await store.finished(7)
        assert not await store.finished(8)

    async def remember(store: Store) -> None:
        assert await store.finished(7)

    async def forget(store: Store) -> None:
        assert not await store.finished(7)
        await store.finish(8)

    with_store(path, finish)
    with_store(path, remember)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("UPDATE updates SET finished = finished - 86401")
        with_store(path, forget)
        assert other.execute("SELECT id FROM updates").fetchall() == [(8,)]


def test_a_chat_is_kept(path: Path) -> None:
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
from tests.feedback.test_sqlite import SqliteStore, text, vote

async def main():
    store = SqliteStore(sys.argv[1])
    await store.add_text(text())
    for number in range(1000000):
        await store.vote(vote(str(number)))
        print(number, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("acknowledged", [1, 40])
def test_what_was_acknowledged_survives_kill_9(path: Path, acknowledged: int) -> None:
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
    """Two stores stand for them: each has a connection of its own, and the first to come makes the tables."""

    async def main() -> list[Tally]:
        async with opened(path) as one, opened(path) as other:
            await asyncio.gather(one.add_text(text()), other.add_text(text()))
            await asyncio.gather(*(store.vote(vote(str(n))) for n in range(100) for store in (one, other)))
            return await other.tally()

    assert asyncio.run(main()) == [Tally("tiny", "model", 1, 100, 0)]


def folder(path: Path) -> None:
    path.mkdir()


def nonsense(path: Path) -> None:
    path.write_bytes(b"no database at all, but longer than the header of one. " * 20)


def somebody_elses(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE recipes (name)")


def newer(path: Path) -> None:
    with_store(path, lambda store: store.add_text(text()))
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 2")


def torn(path: Path) -> None:
    """A page in the middle is overwritten, as by a failing disk."""
    with_store(path, lambda store: store.add_text(text(text="x" * 10000)))
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)


@pytest.mark.parametrize("break_it", [folder, nonsense, somebody_elses, newer, torn])
def test_a_file_that_is_no_store_is_an_error_and_stays_as_it_is(
    path: Path, break_it: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    break_it(path)
    before = path.read_bytes() if path.is_file() else None

    async def work(store: Store) -> None:
        with pytest.raises(StoreError, match="cannot be stored or read right now: try again later") as caught:
            await store.add_text(text(text="what nobody should read in a log"))
        assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "10"})

    with_store(path, work)
    assert (path.read_bytes() if path.is_file() else None) == before
    [record] = caplog.records
    assert str(path) in record.getMessage()
    assert "nobody" not in caplog.text


def test_a_missing_folder_is_an_error_until_it_is_there(tmp_path: Path) -> None:
    path = tmp_path / "later" / "feedback.db"

    async def work(store: Store) -> None:
        with pytest.raises(StoreError):
            await store.add_text(text())
        path.parent.mkdir()
        await store.add_text(text())
        assert await store.text("t") == text()

    with_store(path, work)


FULL = """
import asyncio, resource, signal, sys
from app.errors import StoreError
from tests.feedback.test_sqlite import SqliteStore, text, vote

async def main():
    store = SqliteStore(sys.argv[1])
    await store.add_text(text())
    await store.vote(vote("0"))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    kept = 0
    try:
        while True:
            await store.add_text(text(str(kept), text="x" * 1000))
            kept += 1
    except StoreError as error:
        print(kept, error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await store.vote(vote("1"))
    print((await store.tally())[0])
    await store.close()

asyncio.run(main())
"""


def test_a_full_disk_is_an_error_until_there_is_room(path: Path) -> None:
    """The kernel refuses what goes beyond so many bytes, as a disk does that is full."""
    command = [sys.executable, "-c", FULL, str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    told, tally = ended.stdout.splitlines()
    kept = int(told.split()[0])
    assert kept > 10
    assert told.endswith("votes cannot be stored or read right now: try again later.")
    assert tally == str(Tally("tiny", "model", kept + 1, 2, 0))


@pytest.mark.parametrize(
    "address", ["feedback.db", "sqlite://", "sqlite:///", "mysql:///x", "bigquery://x", "bigquery:///x.y"]
)
def test_a_wrong_address_is_one_sentence(address: str) -> None:
    message = f"FEEDBACK is {address!r}, and should be sqlite:///PATH or bigquery://PROJECT.DATASET."
    with pytest.raises(SettingError, match=rf"^{re.escape(message)}$"):
        open_store(address)


def test_nothing_is_opened_or_imported_before_it_is_needed(tmp_path: Path) -> None:
    code = """
import sys
import app.__main__, app.server
from app.application import create_application
from app.models import load_models
from app.engine.generation_queue import GenerationQueue
from app.settings import Settings

for address in ("sqlite:///feedback.db", "bigquery://project.dataset"):
    settings = Settings(engine="fake", feedback=address)
    create_application(load_models(settings), GenerationQueue(), settings)
print({"sqlite3", "_sqlite3", "google"} & set(sys.modules))
"""
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == "set()\n"
    assert not any(tmp_path.iterdir())


def test_ids_fit_into_a_button() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch(r"[\w-]{16}", one) for one in ids)
