"""The SQLite store when the file, the folder or the disk is not as it should be."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from app.errors import StoreError
from app.feedback.store import Store, Tally
from tests.conftest import ROOT
from tests.feedback.stores import text, with_store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "feedback.db"


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
def test_a_file_that_is_not_a_store_is_an_error_and_stays_unchanged(
    path: Path, break_it: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    break_it(path)
    before = path.read_bytes() if path.is_file() else None

    async def work(store: Store) -> None:
        with pytest.raises(StoreError, match="cannot be stored or read right now: try again later") as caught:
            await store.add_text(text(text="what nobody should read in a log"))
        assert caught.value.retry_after == 10

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
from app.feedback.sqlite_store import SqliteStore
from tests.feedback.stores import text, vote

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
    """A limit on the file's size stands for the full disk."""
    command = [sys.executable, "-c", FULL, str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    told, tally = ended.stdout.splitlines()
    kept = int(told.split()[0])
    assert kept > 10
    assert told.endswith("votes cannot be stored or read right now: try again later.")
    assert tally == str(Tally("tiny", "model", kept + 1, 2, 0))
