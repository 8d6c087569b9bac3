"""The folder of a run: which saves it keeps, also when the disk is full."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from finetune.checkpoint import newest_whole
from tests.conftest import ROOT


def test_only_the_last_two_saves_are_kept(finished: Path) -> None:
    assert {path.stem for path in finished.glob("model-*.index")} == {"model-8", "model-12"}
    assert {path.stem for path in finished.glob("training-*.npz")} == {"training-8", "training-12"}


@pytest.mark.slow
def test_a_full_disk_loses_no_save(base: Path, tmp_path: Path) -> None:
    """A limit on file sizes stands for the full disk: the next save fails, and the one before stays complete."""
    run = tmp_path / "run"
    code = """
import resource, signal, sys
from finetune import run_folder
from finetune.__main__ import main

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
save, limits = run_folder.RunFolder.save, resource.getrlimit(resource.RLIMIT_FSIZE)

def later(self, content):
    if content.step > 4:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        save(self, content)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

run_folder.RunFolder.save = later
sys.exit(main(sys.argv[1:]))
"""
    options = f"--data {base}/data --init {base}/init --out {run} --steps 12 --save_every 4 --samples 0"
    ended = subprocess.run(
        [sys.executable, "-c", code, "train", *options.split()],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    assert newest_whole(run)[0].step == 4
    assert {path.name for path in run.glob("model-8*")} == set()
