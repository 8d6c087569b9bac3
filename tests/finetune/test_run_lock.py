"""One training at a time writes into a run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.errors import SettingError
from finetune.run_lock import run_lock
from finetune.training.training_run import train_run
from tests.conftest import ROOT
from tests.finetune.training.runs import training_options

HOLD = """
import sys, pathlib
from finetune.run_lock import run_lock
with run_lock(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_training_is_refused_until_the_first_has_ended(base: Path, tmp_path: Path) -> None:
    """Two trainings of a run deleted each other's saves."""
    run = tmp_path / "run"
    with run_lock(run), pytest.raises(SettingError, match=f"{run} is being trained by another process: wait until"):
        train_run(training_options(base, run))
    assert not run.exists()
    with pytest.raises(SettingError, match="exists and is not a run"):
        train_run(training_options(base, base / "data"))


def test_a_training_that_was_killed_locks_nothing(tmp_path: Path) -> None:
    (tmp_path / "counter").touch()
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(SettingError, match="is being trained"), run_lock(tmp_path):
            pass
        child.kill()
    with run_lock(tmp_path):
        pass


def test_a_file_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with run_lock(tmp_path / "file"):
        pass
    assert (tmp_path / "file").is_file()
