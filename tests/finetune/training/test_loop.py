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

import numpy as np
import pytest

from app.engine.checkpoint_folder import open_checkpoint
from app.errors import TrainingError
from finetune.commands.train import train
from finetune.run_folder import RunFolder
from finetune.run_progress import read_progress
from finetune.training.divergence import refuse_infinite_weights
from tests.conftest import ROOT
from tests.finetune.training.runs import logged, stopped_after, training_options, weights_of


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


def command(base: Path, run: Path, *more: str) -> list[str]:
    places = ["--data", str(base / "data"), "--init", str(base / "init"), "--out", str(run)]
    return [sys.executable, "-m", "finetune", "train", *places, *more]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_says_so_and_leaves_no_process(base: Path, tmp_path: Path, number: signal.Signals) -> None:
    run = tmp_path / "run"
    with subprocess.Popen(
        command(base, run, "--steps", "100000", "--save-every", "5"),
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        while not (run / "checkpoint").exists() and child.poll() is None:
            time.sleep(0.05)
        child.send_signal(number)
        _, said = child.communicate(timeout=60)
    assert child.returncode == 128 + number
    step = open_checkpoint(run).step
    assert f"Stopped at step {step} of 100000, which is saved in {run}. To go on: gpt2 train" in said
    assert said.endswith(" --resume\n")
    assert "Traceback" not in said
    assert logged(run)[-1]["step"] == str(open_checkpoint(run).step)
    with pytest.raises(ProcessLookupError):
        os.killpg(child.pid, 0)


@pytest.mark.slow
def test_saves_by_the_clock_change_nothing_else(
    base: Path, finished: Path, keras: Callable[..., Any], tmp_path: Path
) -> None:
    """A save every 200 steps was one in twenty minutes. One between them measures nothing, so the best save stays the same."""
    run = tmp_path / "run"
    keras(train, training_options(base, run, save_minutes=1e-9, samples=1, sample_length=2))
    assert {path.stem for path in run.glob("model-*.index")} == {"model-11", "model-12"}
    assert RunFolder(run).lowest_validation == RunFolder(finished).lowest_validation
    assert [row["validation"] for row in logged(run)] == [row["validation"] for row in logged(finished)]
    assert (run / "samples.txt").read_text(encoding="utf-8").count("====== step") == 3
    weights = weights_of(finished)
    assert all(np.array_equal(weight, weights[name]) for name, weight in weights_of(run).items())


@pytest.mark.slow
def test_a_run_that_a_person_stops_early_has_a_best_save(
    base: Path, finished: Path, keras: Callable[..., Any], tmp_path: Path
) -> None:
    """It is stopped before the first step at which the validation loss is measured; resumed, it ends as if it had not been."""
    run = tmp_path / "run"
    keras(stopped_after, training_options(base, run, samples=1, sample_length=2), 2)
    assert open_checkpoint(run).step == open_checkpoint(run / "best").step == 2
    assert not (run / "samples.txt").exists()
    assert logged(run)[-1]["validation"]
    keras(train, training_options(base, run, resume=True))
    assert RunFolder(run).lowest_validation == RunFolder(finished).lowest_validation


@pytest.mark.slow
def test_a_run_ends_when_its_minutes_are_over(base: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    """A busy machine took three times as long as was planned. What is measured at the end decides which save is the best."""
    run = tmp_path / "run"
    keras(train, training_options(base, run, minutes=1e-9))
    assert open_checkpoint(run).step == 1
    assert RunFolder(run).lowest_validation == (1, float(logged(run)[-1]["validation"]))
    progress = read_progress(run)
    assert progress is not None
    assert progress.state == "finished"
    keras(train, training_options(base, run, resume=True, steps=3, minutes=60.0))
    assert open_checkpoint(run).step == 3


@pytest.mark.slow
def test_a_run_goes_on_when_nobody_reads_its_output(base: Path, tmp_path: Path) -> None:
    """`train 2>&1 | head` ended it with a BrokenPipeError, and nothing was saved."""
    run = tmp_path / "run"
    with subprocess.Popen(
        command(base, run, "--steps", "8", "--save-every", "2", "--samples", "1"),
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as child:
        assert child.stdout
        child.stdout.readline()
        child.stdout.close()
        assert child.wait(timeout=120) == 0
    assert open_checkpoint(run).step == 8


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_like_one_that_was_not(
    base: Path, finished: Path, tmp_path: Path
) -> None:
    """It is killed as soon as a file of the next save appears, so in the middle of a save."""
    run, more = tmp_path / "run", ["--steps", "12", "--save-every", "4", "--samples", "0", "--batch-size", "2"]
    for save in (4, 8, 12):
        resume = ["--resume"] if RunFolder(run).exists else []
        with subprocess.Popen(
            command(base, run, *more, "--learning-rate", "1e-2", *resume),
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stderr=subprocess.DEVNULL,
        ) as child:
            while not (run / "best" / f"model-{save}.index").exists() and child.poll() is None:
                time.sleep(0.001)
            child.kill()
    ended = subprocess.run(
        command(base, run, *more, "--learning-rate", "1e-2", *(["--resume"] if RunFolder(run).exists else [])),
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert ended.returncode in (0, 2)  # 2: the last save was complete, so there was nothing left to do.
    assert RunFolder(run).lowest_validation == RunFolder(finished).lowest_validation
    for folder, expected in ((run, finished), (run / "best", finished / "best")):
        weights = weights_of(folder)
        assert all(np.array_equal(weight, weights[name]) for name, weight in weights_of(expected).items())


@pytest.mark.slow
def test_a_loss_that_is_not_a_number_ends_the_run(base: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"the loss is not a number at step \d: give a lower --learning-rate\."):
        keras(train, training_options(base, tmp_path / "run", learning_rate=1e30, clip=0.0))
    assert not list((tmp_path / "run").glob("model-*"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"learning_rate": 1000.0},
            r"the validation loss is [\d,]+ nats per token at step 1: give a lower --learning-rate\.",
        ),
        ({"learning_rate": 1e30, "clip": 0.0}, r"the validation loss is not a number at step 1: give a lower"),
    ],
    ids=["too high", "not a number"],
)
def test_what_diverged_is_not_saved(
    base: Path, keras: Callable[..., Any], tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    """A loss above 709 was an OverflowError in exp; one that is not a number became the best."""
    run = tmp_path / "run"
    with pytest.raises(TrainingError, match=sentence):
        keras(train, training_options(base, run, steps=1, save_every=1, **changes))
    assert not list(run.rglob("model-*"))
    RunFolder(run).refuse_existing()  # The next try may use the folder.


@pytest.mark.slow
def test_gradients_that_always_overflow_end_the_run(base: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    """The scale of the loss was halved at each step, and no step changed a weight."""
    run = tmp_path / "run"
    with pytest.raises(TrainingError, match="the gradients overflow float16 at every step up to 40: give --precision"):
        keras(train, training_options(base, run, steps=40, save_every=40, precision="float16", unlikelihood=1e12))
    assert not list(run.rglob("model-*"))


def test_weights_that_are_not_numbers_are_not_saved() -> None:
    """The loss is measured before each step, so the last step's may be fine, and without validation nothing else shows it."""
    with pytest.raises(TrainingError, match="the weights are not numbers at step 3: give a lower --learning-rate"):
        refuse_infinite_weights({"wpe": np.ones(2, np.float32), "wte": np.array([1, np.inf], np.float32)}, step=3)
