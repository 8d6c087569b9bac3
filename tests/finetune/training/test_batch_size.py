"""`--batch-size auto` and `--tokens-per-step`: the rows of a batch and of a step, by the memory that there is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from app.engine.bundle import Hparams
from app.errors import MachineError, SettingError
from finetune.checkpoint import initial_weights
from finetune.commands.train import train
from finetune.run_folder import RunDescription, RunFolder
from finetune.training.devices import Devices
from finetune.training.options import TrainingOptions
from finetune.training.starting_point import StartingPoint
from tests.finetune.training.runs import logged, stopped_after, training_options, weights_of

TINY = Hparams(n_vocab=300, n_ctx=64, n_embd=32, n_head=4, n_layer=2)
WINDOW = Hparams(n_vocab=300, n_ctx=1024, n_embd=32, n_head=4, n_layer=2)
AUTO = TrainingOptions(data=Path("data"), out=Path("run"), batch_size="auto")
CARD = "NVIDIA L4"


class Found(NamedTuple):
    """Rows a batch, batches a step, and whether layers are recomputed."""

    rows: int
    accumulate: int
    recomputed: bool


def found(
    options: TrainingOptions, devices: Devices, hparams: Hparams = WINDOW, before: dict[str, Any] | None = None
) -> Found:
    from finetune.training.batch_size import trainer_that_fits
    from finetune.training.trainer import Trainer

    start = StartingPoint(hparams, initial_weights(hparams), Path("init"))
    described = before and RunDescription(
        corpus_sha256="", end=299, template="text", init="124M", made={}, options=before
    )
    made, _ = trainer_that_fits(
        options,
        start,
        described or None,
        devices,
        lambda options: Trainer(replace(options, parallel="none"), hparams, start.weights, 299, 64),
    )
    return Found(made.rows, made.accumulate, made.gradient_checkpointing)


def a_gpu(memory: float = 80e9, count: int = 1, backend: str = "tensorflow") -> Devices:
    return Devices(backend, CARD, count, int(memory))


@pytest.mark.parametrize(
    ("changes", "devices", "expected"),
    [
        ({}, a_gpu(), Found(64, 1, False)),
        ({"tokens_per_step": 16_384}, a_gpu(), Found(16, 1, False)),
        ({"tokens_per_step": 100_000}, a_gpu(), Found(49, 2, False)),
        ({"tokens_per_step": 131_072, "context": 512}, a_gpu(), Found(128, 2, False)),
        ({"tokens_per_step": 131_072, "parallel": "data"}, a_gpu(count=4), Found(128, 1, False)),
        ({"tokens_per_step": 500}, a_gpu(), Found(1, 1, False)),
        ({}, Devices("tensorflow", "CPU", 1, None), Found(4, 1, False)),
        ({"batch_size": 8, "tokens_per_step": 65_536}, a_gpu(), Found(8, 8, False)),
        ({"batch_size": 8, "accumulate": 3}, a_gpu(), Found(8, 3, False)),
        ({}, a_gpu(0.85e9), Found(8, 1, False)),
        ({}, a_gpu(0.05e9), Found(1, 1, True)),
    ],
)
def test_a_batch_is_as_large_as_is_useful_and_fits(
    keras: Callable[..., Any], changes: dict[str, Any], devices: Devices, expected: Found
) -> None:
    assert keras(found, replace(AUTO, **changes), devices) == expected


def trained_and_estimated(options: TrainingOptions) -> tuple[int, int]:
    from finetune.training.memory_estimate import trained_parameters
    from finetune.training.trainer import Trainer

    weights = initial_weights(TINY)
    variables = Trainer(options, TINY, weights, 299, 64).model.trainable_variables
    return sum(math.prod(variable.shape) for variable in variables), trained_parameters(options, weights)


@pytest.mark.parametrize("changes", [{}, {"lora": 4}, {"freeze": "embeddings"}, {"freeze": 1}])
def test_the_estimate_counts_what_is_trained(keras: Callable[..., Any], changes: dict[str, Any]) -> None:
    trained, estimated = keras(trained_and_estimated, replace(AUTO, batch_size=1, **changes))
    assert trained == estimated


@pytest.mark.parametrize(
    ("before", "memory", "expected"),
    [
        ({"batch_size": 24, "accumulate": 2}, 80e9, Found(24, 2, False)),
        ({"batch_size": 24, "accumulate": 2}, 0.95e9, Found(12, 4, False)),
        ({"batch_size": 7, "accumulate": 1}, 0.2e9, Found(1, 7, False)),
    ],
)
def test_a_resumed_run_keeps_the_rows_of_its_step(
    keras: Callable[..., Any], before: dict[str, Any], memory: float, expected: Found
) -> None:
    assert keras(found, AUTO, a_gpu(memory), WINDOW, before) == expected


def test_a_step_that_the_devices_cannot_share_is_refused(keras: Callable[..., Any]) -> None:
    with pytest.raises(SettingError) as refused:
        keras(found, AUTO, a_gpu(count=3), WINDOW, {"batch_size": 64, "accumulate": 1})
    assert str(refused.value) == "the run's steps have 64 rows, which 3 devices cannot share: give --parallel none."


@pytest.mark.slow
def test_jaxs_compiler_says_what_fits(four_devices: Callable[..., Any]) -> None:
    """A row takes 1 MB, and by the estimate three quarters of that. A batch of the estimate's size would not have fitted."""
    rows, batches, _ = four_devices(found, AUTO, a_gpu(90e6, backend="jax"), TINY)
    assert 48 <= rows <= 85
    assert batches == 1
    with pytest.raises(
        MachineError, match=r"^a batch of 1 rows takes .*: give --lora 8, a shorter --context or a smaller"
    ):
        four_devices(found, AUTO, a_gpu(1e6, backend="jax"), TINY)


def test_a_gpu_too_small_for_the_model_is_refused(keras: Callable[..., Any]) -> None:
    width = Hparams(n_vocab=300, n_ctx=64, n_embd=1024, n_head=4, n_layer=2)
    with pytest.raises(MachineError) as refused:
        keras(found, replace(AUTO, lora=8), a_gpu(0.1e9), width)
    assert str(refused.value) == (
        "NVIDIA L4 has 0.1 GB of memory, and the weights, gradients and optimizer state of this model take 0.1 GB: "
        "give --optimizer adafactor or a smaller model."
    )


@pytest.mark.slow
def test_a_run_goes_on_with_smaller_batches(base: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    """After a disconnect, Colab may give a smaller GPU."""
    options = training_options(base, tmp_path / "whole", batch_size=4, steps=8, learning_rate=1e-3)
    keras(train, options)
    parts = replace(options, out=tmp_path / "parts")
    keras(stopped_after, parts, 5)
    keras(train, replace(parts, resume=True, batch_size=2, accumulate=2))
    losses, continued = ([float(row["train"]) for row in logged(each.out)] for each in (options, parts))
    assert continued[-1] == pytest.approx(losses[-1], abs=1e-4)
    described = RunFolder(parts.out).description
    assert described
    assert (described.options["batch_size"], described.options["accumulate"]) == (2, 2)
    whole, smaller = weights_of(options.out), weights_of(parts.out)
    assert all(smaller[name] == pytest.approx(weight, abs=1e-3) for name, weight in whole.items())


def test_a_run_does_not_go_on_with_other_steps(base: Path, finished: Path) -> None:
    again = training_options(base, finished, resume=True, steps=13, batch_size=3, accumulate=2)
    with pytest.raises(SettingError) as refused:
        train(again)
    assert str(refused.value) == (
        f"a step of {finished} has 2 rows, and these options give it 6: give --batch-size 2 --accumulate 1, "
        f"or start a new run with --init {finished}."
    )


@pytest.mark.parametrize(("tokens", "rows"), [(166, 2), (200, 4), (1, 2), (600, 10)])
def test_tokens_per_step_gives_a_resumed_run_the_same_rows(keras: Callable[..., Any], tokens: int, rows: int) -> None:
    """What refuses other rows counted them in another way: a run with 166 tokens a step was refused its own command."""
    options = replace(AUTO, batch_size=2, tokens_per_step=tokens)
    made = keras(found, options, a_gpu(), TINY)
    assert (made.rows * made.accumulate, options.rows_per_step(TINY.n_ctx)) == (rows, rows)
