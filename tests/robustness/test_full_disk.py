"""A full disk, and a folder that cannot be written: nothing is acknowledged that is not stored, and all works again after."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from tests.conftest import SENTENCES
from tests.robustness.service import CODE, Service

FREE = resource.RLIM_INFINITY


def test_votes_on_a_full_disk(
    serving: Callable[..., AbstractContextManager[Service]],
    record: Callable[..., None],
    rounds: Callable[[int, int], int],
    tmp_path: Path,
) -> None:
    """A limit on the size of files, which the kernel keeps like the end of a disk, comes and goes."""
    file, acknowledged, refused = tmp_path / "feedback.db", [], 0
    with serving(ENGINE="fake", FEEDBACK=f"sqlite:///{file}") as service:
        for number in range(rounds(40, 2000)):
            full = number % 20 >= 10
            limit = 4096 * (1 + number % 7) if full else FREE
            resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (limit, FREE))
            vote = {"vote": "up", "text": f"{number} " + "x" * 2000, "voter": "anna"}
            reply = httpx.post(f"{service.url}/feedback", json=vote, timeout=20)
            assert (reply.status_code, reply.headers.get("retry-after")) == ((503, "10") if full else (200, None))
            refused += full
            if reply.status_code == 200:
                acknowledged.append(number)
    with contextlib.closing(sqlite3.connect(file)) as store:
        stored = {
            int(text.split()[0]) for (text,) in store.execute("SELECT text FROM votes JOIN texts ON text_id = id")
        }
    assert set(acknowledged) == stored
    record("votes refused on a full disk", refused)
    record("votes acknowledged and not stored", len(set(acknowledged) - stored), 0)


def run(arguments: list[str], folder: Path, limit: int = FREE, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command that can write no file of more than `limit` bytes."""

    def little_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, FREE))

    return subprocess.run(
        [sys.executable, "-m", "finetune", *arguments],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(CODE)} | variables,
        capture_output=True, text=True, timeout=300, check=False,
        preexec_fn=little_room,  # No thread of this process is in between.
    )  # fmt: skip


def one_sentence(ended: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in ended.stderr.replace("\r", "\n").splitlines() if line.startswith("error: ")]
    assert ended.returncode == 2, ended.stderr[-2000:]
    assert "Traceback" not in ended.stderr
    assert len(lines) == 1
    return lines[0]


@pytest.mark.torture
@pytest.mark.parametrize("name", ["prepare", "fetch", "export", "train"])
def test_commands_on_a_full_disk(
    name: str, request: pytest.FixtureRequest, record: Callable[..., None], tmp_path: Path
) -> None:
    """The same command succeeds when there is room, and nothing is left of the tries."""
    checkpoint, data = request.getfixturevalue("checkpoint"), request.getfixturevalue("data")
    (tmp_path / "text.txt").write_text("\n".join(SENTENCES * 20), encoding="utf-8")
    rows = "\n".join(f'{{"body": "{sentence} {n}"}}' for n in range(20) for sentence in SENTENCES)
    (tmp_path / "rows.jsonl").write_text(rows, encoding="utf-8")
    (work := tmp_path / "work").mkdir()
    command = {
        "prepare": ["prepare", "../text.txt", "--vocabulary", str(checkpoint), "--out", "data"],
        "fetch": ["fetch", "jsonl", "--source", "../rows.jsonl", "--vocabulary", str(checkpoint), "--out", "x.jsonl"],
        "export": ["export", "--checkpoint", str(checkpoint), "--out", "bundle"],
        "train": ["train", "--data", str(data), "--init", str(checkpoint), "--out", "run", "--steps", "4", "--save-every", "2",
                  "--batch-size", "2", "--samples", "0"],
    }[name]  # fmt: skip
    sentences = 0
    for limit in (20, 2000, 60_000):
        one_sentence(run(command, work, limit))
        sentences += 1
    again = ["--resume"] if (work / "run" / "checkpoint").is_file() else []
    ended = run(command + again, work)
    assert ended.returncode == 0, ended.stderr
    assert [path.name for path in work.rglob(".*")] == []
    record(f"full disks of {name} that ended in one sentence", sentences)


@pytest.mark.torture
@pytest.mark.parametrize("name", ["prepare", "fetch", "export", "train"])
def test_commands_where_nothing_can_be_written(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """/proc, since root may write wherever there is a disk."""
    checkpoint, data = request.getfixturevalue("checkpoint"), request.getfixturevalue("data")
    (tmp_path / "text.txt").write_text("\n".join(SENTENCES), encoding="utf-8")
    (tmp_path / "rows.jsonl").write_text('{"body": "Why did the duck cross the road?"}\n', encoding="utf-8")
    out = "/proc/out/x.jsonl"
    command = {
        "prepare": ["prepare", "text.txt", "--vocabulary", str(checkpoint)],
        "fetch": ["fetch", "jsonl", "--source", "rows.jsonl", "--vocabulary", str(checkpoint)],
        "export": ["export", "--checkpoint", str(checkpoint)],
        "train": ["train", "--data", str(data), "--init", str(checkpoint), "--steps", "2"],
    }[name]
    assert "/proc/out" in one_sentence(run([*command, "--out", out], tmp_path))
