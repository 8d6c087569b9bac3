"""An interrupted `fetch` on files keeps what it has read, and the same command resumes there."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from finetune.fetch.duckdb_session import interruptions
from tests.finetune.fetch.rows import BODIES, COMMENTS, Fetch, comment, lines, manifest_of, write


@contextmanager
def small_disk(largest: int) -> Iterator[None]:
    """The kernel refuses to write a file of more bytes than this, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def spoil(path: Path, lines: int) -> None:
    """Make the first lines of a file unreadable, so that reading them again would be noticed.

    Size, modification time and line ends stay as they are: by these a fetch knows the file and its blocks.
    """
    times, data = path.stat(), path.read_bytes().splitlines(keepends=True)
    spoiled = [re.sub(rb"[^\n]", b"x", line) for line in data[:lines]]
    path.write_bytes(b"".join(spoiled + data[lines:]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.fixture
def keyboard() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, also where the test runner ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def state_of(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out.parent / f".{out.name}.fetch/state.json").read_bytes())["state"]
    return found


def blocks_of(out: Path) -> int:
    """The number of blocks that a fetch has read of its first file so far."""
    if not (out.parent / f".{out.name}.fetch/state.json").exists():
        return 0
    blocks: int = state_of(out).get("file comments-00000", {}).get("blocks", 0)
    return blocks


def test_a_full_disk_costs_one_block(run: Fetch, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finetune.fetch.dumps.BLOCK", 1000)
    monkeypatch.setattr("finetune.data.compression.CHUNK", 500)
    long = comment(90, body="YTA, and this is why. " * 3000)
    path = write(tmp_path / "RC_2019-08.jsonl", [*COMMENTS[:20], long, *COMMENTS[20:]])
    with small_disk(20_000), pytest.raises(OSError, match="File too large"):
        run("subreddit_comments", path, without="long")
    assert not out.exists()
    state = state_of(out)["file comments-00000"]
    assert (state["blocks"] > 2, state["done"]) == (True, False)
    spoil(path, state["lines"])
    assert run("subreddit_comments", path, without="long") == [
        *BODIES[:10],
        {"body": long["body"].strip()},
        *BODIES[10:],
    ]
    assert (manifest_of(out)["lines"], manifest_of(out)["corrupt"]) == (41, 0)
    assert list(out.parent.glob(".*")) == []


def test_files_that_were_read_are_not_read_again(
    run: Fetch, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full once the rows are written; all files have been read by then."""
    monkeypatch.setattr("finetune.fetch.table_parts.ROWS", 4)
    whole = [row | {"body": row["body"] + " So it is." * 1000} for row in COMMENTS]
    first, second = write(tmp_path / "a.jsonl.gz", whole[:4]), write(tmp_path / "b.csv", whole[4:])
    with small_disk(100_000), pytest.raises(OSError, match="File too large"):
        run("subreddit_comments", first, second, without="long")
    files = [state for name, state in state_of(out).items() if name.startswith("file ")]
    assert [state["done"] for state in files] == [True, True]
    for path in (first, second):
        spoil(path, len(path.read_bytes()))
    found = run("subreddit_comments", first, second, without="long")
    assert found == [{"body": row["body"]} for row in whole[::2]]


# The signal may come while a file is being opened; Python then closes it with a warning.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_person_who_interrupts_is_told_how_to_resume(
    run: Fetch,
    out: Path,
    tmp_path: Path,
    keyboard: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The file is a pipe that stays open, so the fetch waits for more of it until Ctrl+C, a SIGINT, comes."""
    monkeypatch.setattr("finetune.fetch.dumps.BLOCK", 1000)
    monkeypatch.setattr("finetune.data.compression.CHUNK", 500)
    pipe = tmp_path / "RC_2019-08.jsonl"
    os.mkfifo(pipe)
    ended = threading.Event()

    def press() -> None:
        while blocks_of(out) < 3 and not ended.wait(0.01):
            pass
        while not ended.is_set():
            os.kill(os.getpid(), signal.SIGINT)
            # Python loses an exception that a signal raises while it deletes an object, so a person presses again.
            ended.wait(10)

    person = threading.Thread(target=press)
    # Open for reading too, which does not wait for a reader.
    written = os.open(pipe, os.O_RDWR)
    os.write(written, lines(COMMENTS))
    person.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run("subreddit_comments", pipe)
    finally:
        ended.set()
        person.join()
        os.close(written)
    assert capsys.readouterr().out == "\nThe rows fetched so far are kept: the same command resumes from here.\n"
    assert blocks_of(out) >= 3
    assert not out.exists()


def test_a_query_can_be_interrupted(keyboard: None) -> None:
    """Ctrl+C during a query once ended in a traceback, since DuckDB raises a RuntimeError then."""

    def work() -> None:
        # One endless query would do, but DuckDB does not always look for signals before it ends.
        while True:
            connection.execute("SELECT sum(range * range) FROM range(10000000)").fetchall()

    with duckdb.connect() as connection:
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt), interruptions():
            work()
    with pytest.raises(RuntimeError, match="of another kind"), interruptions():
        raise RuntimeError("of another kind")
