"""A folder is complete or absent, also when a signal ends the program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from finetune.checkpoint import replace_text
from finetune.folder import replace_folder, written_aside
from tests.conftest import ROOT

WRITE = """
import pathlib, sys
from finetune.folder import written_aside
with written_aside(pathlib.Path(sys.argv[1])) as aside:
    (aside / "half").write_text("written")
    print(aside, flush=True)
    sys.stdin.read()
"""


@contextmanager
def writing(out: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that writes `out`, and the folder in which it does."""
    command = [sys.executable, "-c", WRITE, str(out)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing_behind(number: signal.Signals, checkpoint: Path, tmp_path: Path) -> None:
    """The folder that is written aside stayed, as large as the text."""
    os.mkfifo(tmp_path / "input.txt")
    arguments = [str(tmp_path / "input.txt"), "--out", str(tmp_path / "data"), "--vocabulary", str(checkpoint)]
    with (
        subprocess.Popen([sys.executable, "-m", "finetune", "prepare", *arguments], cwd=ROOT) as process,
        (tmp_path / "input.txt").open("w"),  # It is opened when there is a reader, which waits for text.
    ):
        process.send_signal(number)
        assert process.wait() == 128 + number
    assert [path.name for path in tmp_path.iterdir()] == ["input.txt"]


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    """Ten times kill -9 while exporting left ten hidden folders for good."""
    out = tmp_path / "out"
    (tmp_path / ".out-20260101").mkdir()
    (tmp_path / ".outer-abcdefgh.new").mkdir()
    with writing(out) as (killed, dead):
        killed.kill()
        killed.wait()
        assert (dead / "half").is_file()
        with writing(out) as (_, living), written_aside(out) as aside:
            assert not dead.exists()
            assert (living / "half").is_file()
            (aside / "whole").touch()
            replace_folder(aside, out, ["whole"])
            living_name = living.name
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out-20260101", ".outer-abcdefgh.new", "out"]
    assert living_name.startswith(".out-")
    assert [path.name for path in out.iterdir()] == ["whole"]


def test_what_a_process_moved_away_before_it_was_killed_is_put_back(tmp_path: Path) -> None:
    """Killed between the two renamings of a replacement, it leaves no `out` and two hidden folders."""
    for name in (".out-abcdefgh.old", ".out-abcdefgh.new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "card.md").write_text(name)
    with written_aside(tmp_path / "out") as aside:
        replace_folder(aside, tmp_path / "out", [])
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "card.md").read_text() == ".out-abcdefgh.old"


def test_what_a_process_is_replacing_is_left_to_it(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with writing(out) as (_, living):
        (moved := living.with_suffix(".old")).mkdir()
        with written_aside(out):
            assert moved.is_dir()
            assert not out.exists()
        moved.rmdir()


def test_a_small_file_of_a_killed_process_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".counter.4194304.new").write_text("12")
    replace_text(tmp_path / "counter", "13\n")
    assert [path.name for path in tmp_path.iterdir()] == ["counter"]
