"""What the validation loss is measured on, its lowest value, overfitting, and the saves since."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finetune.commands.prepare import prepare
from finetune.data.prepared import Role, open_data
from finetune.training.options import TrainingOptions

Verdicts = list[tuple[bool, bool, int]]


def verdicts(losses: list[float]) -> Verdicts:
    """After each loss: whether it rose twice, whether it is the lowest, and how many saves came after the lowest."""
    from finetune.training.validation_loss import ValidationLoss

    validation, found = ValidationLoss([], [], None), []
    for step, loss in enumerate(losses):
        validation.history.append((step, loss))
        found.append((validation.rose_twice(), validation.keep_if_lowest(), validation.saves_since_best()))
    return found


def test_the_lowest_loss_and_two_rises_after_it_are_noticed(keras: Callable[..., Any]) -> None:
    found: Verdicts = keras(verdicts, [3.0, 2.0, 2.1, 2.2, 2.15, 1.9])
    assert [twice for twice, _, _ in found] == [False, False, False, True, False, False]
    assert [lowest for _, lowest, _ in found] == [True, True, False, False, False, True]
    assert [since for _, _, since in found] == [0, 0, 1, 2, 3, 0]


@pytest.fixture(scope="module")
def mixed(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data with many short documents and a few long ones."""
    folder = tmp_path_factory.mktemp("mixed")
    words = np.random.default_rng(0)
    texts = [" ".join(map(str, words.integers(10**6, size=size))) for size in [2] * 500 + [20] * 50]
    (folder / "text.txt").write_text("\n".join(texts), encoding="utf-8")
    prepare(
        [str(folder / "text.txt")],
        out=folder / "data",
        vocabulary=checkpoint,
        split="lines",
        validation=0.5,
        near_duplicates=0,
    )
    return folder / "data"


def read_for_validation(options: TrainingOptions) -> list[list[int]]:
    """The parts of documents in the rows of the sample, in order of their tokens."""
    from finetune.training.validation_loss import validation_batches

    parts = []
    for batch in validation_batches(options, open_data(options.data), n_ctx=256):
        for targets, segments in zip(batch.targets, batch.segments, strict=True):
            parts += [targets[segments == number].tolist() for number in range(1, int(segments.max(initial=0)) + 1)]
    return sorted(parts)


def test_validation_reads_documents_of_all_lengths(mixed: Path, keras: Callable[..., Any]) -> None:
    """It read the longest only, because `pack` sorts by length and the first rows were taken."""
    lengths = np.diff(open_data(mixed).validation.ends, prepend=0)
    parts = keras(read_for_validation, TrainingOptions(data=mixed, out=mixed, validation_tokens=1500))
    assert sum(map(len, parts)) == 1500
    assert np.mean([len(part) for part in parts]) == pytest.approx(lengths.mean(), rel=0.3)


def test_validation_reads_the_same_whatever_else_is_chosen(mixed: Path, keras: Callable[..., Any]) -> None:
    """Best saves and patience compare losses across saves and resumptions, and people compare runs."""
    usual = keras(read_for_validation, TrainingOptions(data=mixed, out=mixed, validation_tokens=1500))
    for changes in ({"seed": 5}, {"batch_size": 7}, {"resume": True, "steps": 7, "accumulate": 3}):
        options = TrainingOptions(data=mixed, out=mixed, validation_tokens=1500, **changes)  # type: ignore[arg-type]
        assert keras(read_for_validation, options) == usual


def only_control_codes(options: TrainingOptions) -> list[list[int]]:
    from finetune.training.validation_loss import validation_batches

    data = open_data(options.data)
    codes = np.full_like(data.validation.roles, Role.META)
    silent = replace(data, validation=replace(data.validation, roles=codes))
    return [batch.targets.tolist() for batch in validation_batches(options, silent, n_ctx=256)]


def test_a_sample_in_which_nothing_counts_is_no_sample(mixed: Path, keras: Callable[..., Any]) -> None:
    """Its loss was 0: the first save was the best for ever."""
    assert keras(only_control_codes, TrainingOptions(data=mixed, out=mixed)) == []


def losses_of_batches(folder: Path, options: TrainingOptions) -> list[float]:
    from finetune.checkpoint import newest_whole
    from finetune.training.trainer import Trainer
    from finetune.training.validation_loss import validation_batches

    source, weights = newest_whole(folder)
    trainer = Trainer(options, source.hparams, weights, end=299, segments=64)
    data = open_data(options.data)
    sizes = (1, 3, 8)
    return [trainer.loss(validation_batches(replace(options, batch_size=size), data, n_ctx=64)) for size in sizes]


def test_a_last_batch_that_is_not_full_counts_by_its_tokens(base: Path, keras: Callable[..., Any]) -> None:
    options = TrainingOptions(data=base / "data", out=base, validation_tokens=500)
    one, *others = keras(losses_of_batches, base / "init", options)
    assert others == pytest.approx([one, one], rel=1e-5)
