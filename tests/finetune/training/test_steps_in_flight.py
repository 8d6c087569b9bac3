"""Nothing waits: losses are read some steps later, and saves are written beside the next steps."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.errors import TrainingError
from finetune.checkpoint import newest_whole
from finetune.commands.train import train
from finetune.run_folder import RunFolder, RunSave
from finetune.training.log_interval import QueuedStep
from finetune.training.options import TrainingOptions
from tests.finetune.training.runs import logged, training_options

Reads = list[tuple[int, int]]


@dataclass
class QueuedLoss:
    """A step's loss on a slow device. It notes, when it is read, how many steps are queued by then."""

    number: int
    value: float
    queued: list[int]
    reads: Reads

    def is_ready(self) -> bool:
        return False

    def __float__(self) -> float:
        self.reads.append((self.number, len(self.queued)))
        return self.value


def reads_of_losses(options: TrainingOptions, failing: int = 0) -> Reads:
    """Train; the loss of step `failing` is not a number. Returns each loss that was read, and the steps queued by then."""
    from finetune.training.trainer import Trainer

    queued: list[int] = []
    reads: Reads = []

    class Queueing(Trainer):
        def step(self, batches: Any) -> Any:
            loss = float(super().step(batches))
            queued.append(len(queued) + 1)
            return QueuedLoss(len(queued), np.nan if len(queued) == failing else loss, queued, reads)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("finetune.training.loop.Trainer", Queueing)
        patch.setattr("finetune.training.loop.peak_flops", lambda precision: 1e9)
        train(options)
    return reads


def test_a_loss_is_read_when_two_more_steps_are_queued(base: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    """Only a save, which reads the weights, waits for them all. On a device whose peak rate is known, the log has the MFU."""
    reads = keras(reads_of_losses, training_options(base, tmp_path / "run", steps=8))
    assert reads == [(1, 3), (2, 4), (3, 4), (4, 4), (5, 7), (6, 8), (7, 8), (8, 8)]
    rows = logged(tmp_path / "run")
    assert [row["step"] for row in rows] == ["1", "2", "3", "4", "5", "6", "7", "8"]
    assert all(float(row["mfu"]) > 0 for row in rows)
    assert [row["mfu"] for row in rows] == [str(entry.mfu) for entry in RunFolder(tmp_path / "run").log()]


def test_a_loss_that_is_there_is_read_at_once() -> None:
    """Three lines of the log, read at the end of an interval, had the time of one: a million tokens a second."""
    assert QueuedStep(1, np.float32(1), counted=1.0, tokens=1).ready
    assert not QueuedStep(1, QueuedLoss(1, 2.0, [], []), counted=1.0, tokens=1).ready


def test_a_device_without_a_known_peak_has_no_mfu(finished: Path) -> None:
    assert {row["mfu"] for row in logged(finished)} == {""}


@pytest.mark.slow
def test_the_step_that_diverged_is_named_though_more_are_queued(
    base: Path, keras: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="the loss is not a number at step 2: give a lower --learning-rate"):
        keras(reads_of_losses, training_options(base, tmp_path / "run"), 2)
    assert not list((tmp_path / "run").rglob("model-*"))


def train_while_saving(options: TrainingOptions) -> bool:
    """Train, with a save that lasts until the step after it has begun. Returns whether it did."""
    from finetune.training.trainer import Trainer

    save, later, steps = RunFolder.save, threading.Event(), list[bool]()

    class Counting(Trainer):
        def step(self, batches: Any) -> Any:
            steps.append(True)
            if len(steps) > options.save_every:
                later.set()
            return super().step(batches)

    def lasting(self: RunFolder, content: RunSave) -> None:
        steps[0] &= later.wait(60)
        save(self, content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("finetune.training.loop.Trainer", Counting)
        patch.setattr("finetune.run_folder.RunFolder.save", lasting)
        train(options)
    return steps[0]


def test_training_goes_on_while_a_save_is_written(
    base: Path, finished: Path, keras: Callable[..., Any], tmp_path: Path
) -> None:
    """The save has the weights of its own step, not those that the training has by then."""
    run = tmp_path / "run"
    assert keras(train_while_saving, training_options(base, run))
    for folder in ("", "best"):
        expected, found = (newest_whole(path / folder)[1] for path in (finished, run))
        assert all(np.array_equal(weight, expected[name]) for name, weight in found.items())
    assert RunFolder(run).lowest_validation == RunFolder(finished).lowest_validation


def train_to_weights_that_are_not_numbers(options: TrainingOptions) -> None:
    from finetune.training.trainer import Trainer

    class Ruined(Trainer):
        def weights(self) -> dict[str, Any]:
            weights = super().weights()
            ruined, Ruined.reads = Ruined.reads, Ruined.reads + 1
            return weights | {"wpe": weights["wpe"] * np.float32(np.nan)} if ruined else weights

        reads = 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("finetune.training.loop.Trainer", Ruined)
        train(options)


@pytest.mark.slow
def test_an_error_while_a_save_is_written_ends_the_run_and_leaves_the_save_before(
    base: Path, keras: Callable[..., Any], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with pytest.raises(TrainingError, match="the weights are not numbers at step 8: give a lower --learning-rate"):
        keras(train_to_weights_that_are_not_numbers, training_options(base, run, samples=1, sample_length=2))
    assert newest_whole(run)[0].step == 4
    samples = (run / "samples.txt").read_text(encoding="utf-8")
    assert [line for line in samples.splitlines() if line.startswith("====")] == ["======== step 4 ========"]
