"""The training loop: what a run leaves, early stopping, and how it ends when it is interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.engine.checkpoint_folder import open_checkpoint
from app.errors import TrainingError
from finetune.commands.train import train
from finetune.run_folder import RunFolder
from tests.conftest import ROOT
from tests.finetune.training.runs import logged, training_options


def test_a_run_learns_and_leaves_its_log_plot_and_samples(
    base: Path, keras: Callable[..., Any], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    keras(train, training_options(base, run, steps=40, save_every=20, accumulate=2, samples=2, sample_length=10))
    losses = [float(row["train"]) for row in logged(run)]
    assert losses[-1] < losses[0] - 2
    validation = [float(row["validation"]) for row in logged(run) if row["validation"]]
    assert len(validation) == 2
    assert validation[1] < validation[0]
    assert (run / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert list((run / "events").iterdir())
    samples = (run / "samples.txt").read_text(encoding="utf-8")
    assert "step 20" in samples
    assert "step 40" in samples
    description = RunFolder(run).description
    assert description is not None
    assert description.end == 299
    assert RunFolder(run).lowest_validation == (40, validation[1])
    assert open_checkpoint(run).step == open_checkpoint(run / "best").step == 40


@pytest.mark.slow
def test_early_stopping_when_the_validation_loss_no_longer_falls(
    base: Path, keras: Callable[..., Any], tmp_path: Path
) -> None:
    keras(
        train,
        training_options(base, tmp_path / "run", steps=200, save_every=2, learning_rate=0.3, decay_to=1.0, patience=2),
    )
    steps = [int(row["step"]) for row in logged(tmp_path / "run")]
    best = RunFolder(tmp_path / "run").lowest_validation
    assert best is not None
    assert steps[-1] == best[0] + 4 < 200


@pytest.mark.slow
def test_ctrl_c_saves_says_so_and_leaves_no_process(base: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "finetune",
        "train",
        "--data",
        base / "data",
        "--init",
        base / "init",
        "--out",
        run,
    ]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [*map(str, command), "--steps", "100000", "--save_every", "5"],
        env=environ,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        while not (run / "log.csv").exists() and child.poll() is None:
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "--resume continues" in said
    assert "Traceback" not in said
    assert logged(run)[-1]["step"] == str(open_checkpoint(run).step)
    with pytest.raises(ProcessLookupError):
        os.killpg(child.pid, 0)


def test_a_loss_that_is_not_a_number_ends_the_run(base: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"the loss is not a number at step \d: give a lower --learning_rate\."):
        keras(train, training_options(base, tmp_path / "run", learning_rate=1e30, clip=0.0))
