"""The training step: precision, freezing, LoRA, gradient checkpointing, and JAX as the backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finetune.checkpoint import newest_whole
from finetune.commands.train import train
from finetune.data.packing import Batch, Packed
from finetune.data.prepared import open_data
from finetune.training.options import TrainingOptions
from tests.conftest import run_module
from tests.finetune.training.runs import logged, stopped_after, training_options, weights_of


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "bfloat16"},
        {"precision": "float16"},
        {"xla": True},
        {"unlikelihood": 0.5, "clip": 0.0},
        {"packing": "windows", "decay_to": 1.0, "weight_decay": 0.0},
        {"context": 32},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_each_way_of_training_learns(
    base: Path, keras: Callable[..., Any], tmp_path: Path, changes: dict[str, Any]
) -> None:
    keras(train, training_options(base, tmp_path / "run", save_every=12, **changes))
    losses = [float(row["train"]) for row in logged(tmp_path / "run")]
    assert losses[-1] < losses[0] - 0.5


@pytest.mark.slow
def test_gradient_checkpointing_changes_nothing_but_memory(
    base: Path, finished: Path, keras: Callable[..., Any], tmp_path: Path
) -> None:
    keras(train, training_options(base, tmp_path / "run", gradient_checkpointing=True))
    without, checkpointed = ([float(row["train"]) for row in logged(run)] for run in (finished, tmp_path / "run"))
    assert checkpointed == pytest.approx(without, abs=1e-4)
    assert checkpointed[-1] < checkpointed[0] - 0.5


def losses_and_weights(folder: Path, options: TrainingOptions) -> tuple[list[float], np.ndarray]:
    """The losses of four steps on four rows that differ in the number of tokens that count, and the weights after them."""
    from finetune.training.trainer import Trainer

    source, weights = newest_whole(folder)
    trainer = Trainer(options, source.hparams, weights, end=299, segments=64)
    data = open_data(options.data)
    rows = next(Packed(data.train, 299, 64).in_order(4))
    for row, counted in enumerate((60, 3, 20, 1)):
        rows.weights[row, counted:] = 0
    size = options.rows
    batches = [Batch._make(array[first : first + size] for array in rows) for first in range(0, 4, size)]
    losses = [float(trainer.step(batches)) for _ in range(4)]
    return losses, np.concatenate([weight.ravel() for weight in trainer.weights().values()])


@pytest.mark.slow
def test_gradient_accumulation_is_one_large_batch(base: Path, keras: Callable[..., Any]) -> None:
    """Each batch counted the same, so that a token of a batch with few tokens weighed more than others.

    And the learning rate fell with every batch instead of every step: of four batches a step, the last three quarters of a
    run had the lowest rate.
    """
    options = TrainingOptions(data=base / "data", out=base, batch_size=4, steps=4, learning_rate=1e-2)
    whole_losses, whole = keras(losses_and_weights, base / "init", options)
    losses, weights = keras(losses_and_weights, base / "init", replace(options, batch_size=1, accumulate=4))
    assert losses == pytest.approx(whole_losses, rel=1e-4)
    assert np.abs(weights - whole).max() < 1e-3


@pytest.mark.slow
def test_frozen_weights_do_not_change(base: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    before = weights_of(base / "init")
    for name, freeze in (("embeddings", "embeddings"), ("layers", 1)):
        keras(train, training_options(base, tmp_path / name, steps=3, save_every=3, freeze=freeze))
    embeddings, layers = weights_of(tmp_path / "embeddings"), weights_of(tmp_path / "layers")
    assert {name for name in before if np.array_equal(before[name], embeddings[name])} == {"wte", "wpe"}
    kept = {name for name in before if np.array_equal(before[name], layers[name])}
    assert kept == {"wte", "wpe", *(name for name in before if name.startswith("h0/"))}


@pytest.mark.slow
def test_lora_learns_is_merged_on_save_and_resumes(base: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    common = training_options(base, tmp_path / "whole", steps=8, lora=4, learning_rate=1e-2)
    keras(train, common)
    keras(stopped_after, replace(common, out=tmp_path / "parts"), 5)
    keras(train, replace(common, out=tmp_path / "parts", resume=True))
    before, whole, parts = (weights_of(folder) for folder in (base / "init", tmp_path / "whole", tmp_path / "parts"))
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)
    changed = {name for name in before if not np.array_equal(before[name], whole[name])}
    assert changed == {name for name in before if name.endswith("/w")}
    assert np.linalg.matrix_rank(whole["h0/mlp/c_fc/w"][0] - before["h0/mlp/c_fc/w"][0], tol=1e-4) <= 4


@pytest.mark.slow
def test_jax_trains_the_same(base: Path, finished: Path, tmp_path: Path) -> None:
    """The same run on another backend, here with each batch split between two devices."""
    out = tmp_path / "jax"
    options = f"--data {base}/data --init {base}/init --out {out} --samples 0 --batch-size 2 --save-every 4"
    flags = "--xla_force_host_platform_device_count=2"
    environ = {"KERAS_BACKEND": "jax", "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    ended = run_module("finetune", "train", *options.split(), "--steps", "12", "--learning-rate", "1e-2", **environ)
    assert ended.returncode == 0, ended.stderr
    ours, theirs = ([float(row["train"]) for row in logged(run)] for run in (finished, out))
    assert theirs == pytest.approx(ours, abs=1e-2)


def steps_restored(folder: Path, options: TrainingOptions, accumulated: int) -> tuple[int, float]:
    """A step counter and a momentum, as restored from a state of two steps that also has sums of gradients."""
    from finetune.training.trainer import Trainer

    source, weights = newest_whole(folder)
    trainer = Trainer(options, source.hparams, weights, end=299, segments=64)
    variables = trainer.optimizer.variables
    sums = [np.zeros(variable.shape, np.float32) for variable in trainer.model.trainable_variables]
    momenta = [np.full(variable.shape, 0.5, np.float32) for variable in variables[1:]]
    arrays = [np.array(2 * accumulated), *sums, *momenta]
    trainer.restore({f"v{number}": array for number, array in enumerate(arrays)}, accumulated)
    return int(trainer.optimizer.iterations), float(np.asarray(variables[1].value).ravel()[0])


@pytest.mark.parametrize("accumulate", [4, 2, 1])
def test_the_state_of_a_run_that_kept_its_sums_of_gradients_is_restored(
    base: Path, keras: Callable[..., Any], accumulate: int
) -> None:
    """Its steps had four batches. Resumed with other batches of the same rows, it was at step 4 or 8 of its learning rate."""
    options = TrainingOptions(data=base / "data", out=base, accumulate=accumulate)
    assert keras(steps_restored, base / "init", options, 4) == (2, 0.5)


@pytest.mark.slow
def test_adafactor_learns_in_less_memory_and_resumes(base: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    common = training_options(base, tmp_path / "whole", steps=8, optimizer="adafactor", learning_rate=0.1)
    keras(train, common)
    keras(stopped_after, replace(common, out=tmp_path / "parts"), 5)
    keras(train, replace(common, out=tmp_path / "parts", resume=True))
    losses = [float(row["train"]) for row in logged(tmp_path / "whole")]
    assert losses[-1] < losses[0] - 0.5
    whole, parts = (weights_of(tmp_path / name) for name in ("whole", "parts"))
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)
    with np.load(tmp_path / "whole/training-8.npz") as state:
        assert sum(array.size for array in state.values()) < sum(weight.size for weight in whole.values()) / 4


def steps_of_keras_and_ours() -> list[np.ndarray]:
    import keras as library

    from finetune.training.adafactor import Adafactor

    found = []
    for kind in (Adafactor, library.optimizers.Adafactor):
        variables = [
            library.Variable(np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)),
            library.Variable(np.zeros(3, np.float32)),
        ]
        optimizer = kind(learning_rate=0.1)
        random = np.random.default_rng(0)
        for _ in range(3):
            gradients = [library.ops.convert_to_tensor(random.normal(size=each.shape), "float32") for each in variables]
            optimizer.apply(gradients, variables)
        found.append(np.concatenate([np.asarray(each.value).ravel() for each in variables]))
    return found


def test_adafactor_is_that_of_keras(keras: Callable[..., Any]) -> None:
    ours, theirs = keras(steps_of_keras_and_ours)
    assert ours == pytest.approx(theirs, abs=1e-5)


def step_without_gradient() -> np.ndarray:
    import keras as library

    from finetune.training.adafactor import Adafactor

    variable = library.Variable(np.ones((2, 3), np.float32))
    Adafactor(learning_rate=0.1).apply([library.ops.zeros((2, 3))], [variable])
    return np.asarray(variable.value)


def test_adafactor_leaves_a_matrix_without_gradient_as_it_is(keras: Callable[..., Any]) -> None:
    """So is one matrix of each LoRA adapter in the first step, while the other is zero. The step was not a number."""
    assert keras(step_without_gradient) == pytest.approx(np.ones((2, 3)))
