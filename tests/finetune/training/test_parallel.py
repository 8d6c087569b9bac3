"""Training on several devices equals training on one: the CPU is divided into four for JAX."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.errors import SettingError
from finetune.checkpoint import newest_whole
from finetune.commands.train import train
from finetune.data.packing import Packed, batch
from finetune.data.prepared import open_data
from finetune.training.options import Parallel, TrainingOptions
from tests.finetune.training.runs import logged, stopped_after, training_options, weights_of


def losses_and_weights(init: Path, options: TrainingOptions) -> tuple[list[float], dict[str, np.ndarray]]:
    """The losses of three steps on packed rows, the validation loss after them, and the weights."""
    from finetune.training.trainer import Trainer

    source, weights = newest_whole(init)
    trainer = Trainer(options, source.hparams, weights, end=299, segments=64)
    rows = Packed(open_data(options.data).train, 299, 64)
    batches = [batch(rows, number, options.rows) for number in range(3 * options.accumulate)]
    steps = [batches[first : first + options.accumulate] for first in range(0, len(batches), options.accumulate)]
    losses = [float(trainer.step(step)) for step in steps]
    return [*losses, trainer.loss(batches[:1])], trainer.weights()


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["data", "model"])
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="whole"),
        pytest.param({"lora": 4, "accumulate": 2}, id="lora"),
        pytest.param({"gradient_checkpointing": True, "unlikelihood": 0.5}, id="recomputed"),
        pytest.param({"optimizer": "adafactor", "learning_rate": 0.1}, id="adafactor"),
    ],
)
def test_several_devices_train_as_one(
    base: Path, four_devices: Callable[..., Any], changes: dict[str, Any], parallel: Parallel
) -> None:
    options = training_options(base, base, batch_size=4, parallel="none", **changes)
    losses, weights = four_devices(losses_and_weights, base / "init", options)
    assert losses[-1] < losses[0] - 0.05
    shared_losses, shared = four_devices(losses_and_weights, base / "init", replace(options, parallel=parallel))
    assert shared_losses == pytest.approx(losses, abs=1e-5)
    assert all(shared[name] == pytest.approx(weight, abs=2e-3) for name, weight in weights.items())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"batch_size": 2},
            "--batch-size is 2 and each batch is split among 4 devices: give a multiple of 4, or --parallel none.",
        ),
        (
            {"batch_size": 6, "parallel": "data"},
            "--batch-size is 6 and each batch is split among 4 devices: give a multiple of 4, or --parallel none.",
        ),
        (
            {"parallel": "model", "init": "scratch", "n_embd": 6, "n_head": 2},
            "--parallel model divides the width of 6 among 4 devices, which leaves a rest: use fewer devices.",
        ),
    ],
    ids=["fewer rows", "no multiple", "width"],
)
def test_what_cannot_be_divided_is_refused(
    base: Path, four_devices: Callable[..., Any], tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(SettingError) as refused:
        four_devices(train, training_options(base, tmp_path / "run", **changes))
    assert str(refused.value) == sentence
    assert not (tmp_path / "run").exists()


def test_tensorflow_trains_on_one_device(base: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="needs JAX: set KERAS_BACKEND=jax, or leave it out"):
        keras(train, training_options(base, tmp_path / "run", parallel="model"))


def compilations(init: Path, options: TrainingOptions) -> list[int]:
    """How often something was compiled to find out what a step takes, and in each of three steps."""
    import jax

    from finetune.training.trainer import Trainer

    source, weights = newest_whole(init)
    trainer = Trainer(options, source.hparams, weights, end=299, segments=64)
    counts = [0]

    def count(event: str, duration_secs: float, **kwargs: str | int) -> None:
        counts[-1] += event.endswith("backend_compile_duration") and kwargs.get("fun_name") == "jit(trained)"

    jax.monitoring.register_event_duration_secs_listener(count)
    trainer.bytes_needed(options.rows, 64)
    rows = Packed(open_data(options.data).train, 299, 64)
    for number in range(3):
        counts.append(0)
        trainer.step([batch(rows, number, options.rows)])
    return counts


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["none", "data", "model"])
def test_a_step_is_compiled_once(base: Path, four_devices: Callable[..., Any], parallel: Parallel) -> None:
    """On one device the second step was compiled again."""
    options = training_options(base, base, batch_size=4, parallel=parallel)
    assert four_devices(compilations, base / "init", options) == [1, 0, 0, 0]


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["data", "model"])
def test_a_run_moves_to_another_number_of_devices(
    base: Path,
    four_devices: Callable[..., Any],
    two_devices: Callable[..., Any],
    tmp_path: Path,
    parallel: Parallel,
) -> None:
    options = training_options(base, tmp_path / "whole", batch_size=4, steps=8, parallel="none", learning_rate=1e-3)
    two_devices(train, options)
    moved = replace(options, out=tmp_path / "moved", parallel=parallel)
    four_devices(stopped_after, moved, 5)
    two_devices(train, replace(moved, resume=True))
    losses, moved_losses = ([float(row["train"]) for row in logged(each.out)] for each in (options, moved))
    assert moved_losses[-1] == pytest.approx(losses[-1], abs=1e-5)
    whole, parts = weights_of(options.out), weights_of(moved.out)
    assert all(parts[name] == pytest.approx(weight, abs=1e-3) for name, weight in whole.items())
