"""kill -9 and SIGTERM at random moments: no acknowledged vote is lost, nothing half-written is loaded, the next run is as any.

Ten times kill -9 while exporting left ten hidden folders, each as large as the model.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from app.engine.checkpoint_folder import open_checkpoint
from finetune.checkpoint import read_weights
from tests.conftest import SENTENCES, await_health, free_port
from tests.robustness.service import CODE, STARTER

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)
# What says when or how fast it was written.
TOLD_APART = {"description.json", "manifest.json", "log.csv", "x.jsonl.manifest.json"}


class Voter(threading.Thread):
    """Votes and streams until the server is gone. `acknowledged` are the texts whose votes were answered with 200."""

    def __init__(self, url: str, name: str) -> None:
        super().__init__(daemon=True)
        self.url, self.voter = url, name
        self.acknowledged: list[str] = []

    def run(self) -> None:
        with contextlib.suppress(httpx.TransportError), httpx.Client(base_url=self.url, timeout=20) as client:
            for number in range(10_000):
                text = f"{self.voter}-{number}"
                reply = client.post("/feedback", json={"vote": "up", "text": text, "voter": self.voter})
                if reply.status_code == 200:
                    self.acknowledged.append(text)
                with client.stream("POST", "/generate", json={"prefix": "Why", "length": 20, "stream": True}) as stream:
                    for _ in stream.iter_lines():
                        pass


def test_no_acknowledged_vote_is_lost(
    rounds: Callable[[int, int], int], record: Callable[..., None], tmp_path: Path
) -> None:
    chance = random.Random(18)
    file = tmp_path / "feedback.db"
    acknowledged: list[str] = []
    kills = rounds(1, 60)
    for number in range(kills):
        port = free_port()
        variables = os.environ | {"FEEDBACK": f"sqlite:///{file}", "PORT": str(port), "MODEL": str(STARTER)}
        variables |= {"ENGINE": "fake", "LOG_LEVEL": "error", "PYTHONPATH": str(CODE)}
        with subprocess.Popen([sys.executable, "-m", "app"], cwd=CODE, env=variables, text=True) as server:
            await_health(server, url := f"http://127.0.0.1:{port}")
            voters = [Voter(url, f"{number}-{name}") for name in range(4)]
            for voter in voters:
                voter.start()
            time.sleep(chance.uniform(0.1, 1.0))
            server.send_signal(chance.choice(SIGNALS))
            server.wait(15)
        for voter in voters:
            voter.join(30)
            acknowledged += voter.acknowledged
    with closing(sqlite3.connect(file)) as store:
        stored = {text for (text,) in store.execute("SELECT text FROM votes JOIN texts ON text_id = id")}
        assert store.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert acknowledged
    record("kills while voting and streaming", kills)
    record("acknowledged votes", len(acknowledged))
    record("acknowledged votes lost", len(set(acknowledged) - stored), 0)
    assert set(acknowledged) <= stored


class Verb(NamedTuple):
    """A command that writes `out`, what it is after it, and what there may be beside it after a kill."""

    arguments: list[str]
    out: str
    read: Callable[[Path], Any]


def files_of(out: Path) -> Any:
    """What was written, without what says when; None where nothing is there."""
    if out.is_file():
        return out.read_bytes()
    return (
        {path.name: path.read_bytes() for path in out.rglob("*") if path.name not in TOLD_APART}
        if out.exists()
        else None
    )


def weights_of(out: Path) -> Any:
    """The newest save's step and weights; None before the first."""
    if not (out / "checkpoint").is_file():
        return None
    source = open_checkpoint(out)
    return source.step, {name: weight.tobytes() for name, weight in read_weights(source).items()}


@pytest.fixture
def verbs(checkpoint: Path, data: Path, tmp_path: Path) -> dict[str, Verb]:
    text = tmp_path / "text.txt"
    text.write_text("\n".join(SENTENCES * 20), encoding="utf-8")
    source = str(tmp_path / "rows.jsonl")
    Path(source).write_text("\n".join(f'{{"body": "{sentence} {n}"}}' for n in range(20) for sentence in SENTENCES))
    return {
        "prepare": Verb(["prepare", str(text), "--vocabulary", str(checkpoint), "--out", "data"], "data", files_of),
        "export": Verb(["export", "--checkpoint", str(checkpoint), "--out", "bundle"], "bundle", files_of),
        "fetch": Verb(
            ["fetch", "jsonl", "--source", source, "--vocabulary", str(checkpoint), "--out", "x.jsonl"], "x.jsonl", files_of
        ),
        "train": Verb(
            ["train", "--data", str(data), "--init", str(checkpoint), "--out", "run", "--steps", "8", "--batch-size", "2",
             "--save-every", "2", "--samples", "0"], "run", weights_of,
        ),
    }  # fmt: skip


def started_verb(verb: Verb, folder: Path) -> subprocess.Popen[bytes]:
    resumed = ["--resume"] if (folder / verb.out / "checkpoint").is_file() else []
    command = [sys.executable, "-m", "finetune", *verb.arguments, *resumed]
    variables = os.environ | {"PYTHONPATH": str(CODE)}
    return subprocess.Popen(command, cwd=folder, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def run_to_its_end(verb: Verb, folder: Path) -> float:
    """Returns its seconds."""
    began = time.monotonic()
    with started_verb(verb, folder) as process:
        _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said.decode()[-500:]
    return time.monotonic() - began


@pytest.mark.torture
@pytest.mark.parametrize("name", ["prepare", "fetch", "export", "train"])
def test_a_killed_command(
    name: str,
    request: pytest.FixtureRequest,
    record: Callable[..., None],
    tmp_path: Path,
) -> None:
    verb, chance = request.getfixturevalue("verbs")[name], random.Random(18)
    (tmp_path / "calm").mkdir()
    seconds = run_to_its_end(verb, tmp_path / "calm")
    whole = verb.read(tmp_path / "calm" / verb.out)
    kills, half = {"prepare": 60, "fetch": 60, "export": 12, "train": 10}[name], 0
    for number in range(kills):
        folder = tmp_path / f"killed{number // 5}"  # The next one starts from what five kills have left.
        folder.mkdir(exist_ok=True)
        with started_verb(verb, folder) as process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=chance.uniform(0.3, 1) * seconds)
            process.send_signal(chance.choice(SIGNALS))
            process.communicate(timeout=30)
        found = verb.read(folder / verb.out)
        half += name != "train" and found not in (None, whole)
        if number % 5 == 4 or number == kills - 1:
            if name == "train" and weights_of(folder / verb.out) == whole:
                continue  # It was whole before the signal.
            run_to_its_end(verb, folder)
            assert verb.read(folder / verb.out) == whole
            hidden = [path.name for path in folder.rglob(".*")]
            assert hidden == []
    record(f"kills of {name}", kills)
    record(f"half-written results of {name}", half, 0)
    assert half == 0
