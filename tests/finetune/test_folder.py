"""A folder is complete or absent, also when a signal ends the program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


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
