"""A run that is read while it is trained: whoever exports, samples or evaluates it gets one save, whole."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from app.engine.checkpoint_folder import COPY_AGAIN, advice, open_checkpoint
from app.engine.templates import Template
from app.engine.tensorflow import TensorflowEngine
from app.errors import CheckpointError
from finetune.checkpoint import Array, initial_weights, open_save, read_weights
from finetune.commands.export import export
from finetune.run_folder import LogEntry, RunDescription, RunFolder, RunSave
from tests.conftest import write_tiny

TEXT: Template = "text"


class Training:
    """Saves again and again, each save with weights of its own: the number of its step stands in one of them."""

    def __init__(self, run: Path, vocabulary: Path) -> None:
        self.run = RunFolder(run)
        self.vocabulary = vocabulary
        self.hparams = open_checkpoint(vocabulary).hparams
        self.step = 0

    def save(self) -> None:
        self.step += 1
        self.run.save(
            RunSave(
                step=self.step,
                hparams=self.hparams,
                weights=self.weights(self.step),
                vocabulary=self.vocabulary,
                state={},
                description=RunDescription(corpus_sha256="", end=0, template=TEXT, init="scratch", options={}, made={}),
                log=[LogEntry(step, 1.0, 1.0, 0.1, 1.0, 1.0) for step in range(1, self.step + 1)],
                best=True,
            )
        )

    def weights(self, step: int) -> dict[str, Array]:
        return {name: weight * (step % 7 + 1) for name, weight in initial_weights(self.hparams, step).items()} | {
            "ln_f/b": np.full(self.hparams.n_embd, step, np.float32)
        }


@contextmanager
def going_on(training: Training) -> Iterator[None]:
    """Save as fast as possible, beside what the test does."""
    training.save()
    ended = threading.Event()

    def save() -> None:
        while not ended.is_set():
            training.save()

    thread = threading.Thread(target=save)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.fixture
def training(tmp_path: Path) -> Training:
    write_tiny(tmp_path / "init", n_layer=1, n_ctx=16)
    return Training(tmp_path / "run", tmp_path / "init")


def test_the_weights_are_those_of_one_save(training: Training) -> None:
    with going_on(training):
        for number in range(60):
            source = open_save(training.run.folder if number % 2 else training.run.best.folder)
            weights, expected = read_weights(source), training.weights(source.step)
            assert all(np.array_equal(weights[name], weight) for name, weight in expected.items())


def test_a_bundle_and_its_reference_are_of_one_save(training: Training, tmp_path: Path) -> None:
    """An export compared the bundle of one save with another save, and said that the bundle strays from TensorFlow."""
    with going_on(training):
        for number in range(3):
            export(training.run.best.folder, tmp_path / f"model{number}", bits=32)


def test_a_save_is_read_after_it_was_deleted(training: Training) -> None:
    training.save()
    first = open_save(training.run.best.folder)
    for _ in range(3):
        training.save()
    assert not first.prefix.with_name("model-1.index").exists()
    assert read_weights(first)["ln_f/b"][0] == 1
    assert TensorflowEngine(first).all_logits(np.array([1])).shape == (1, 300)
    links = first.held.prefix.parent
    assert links.is_dir()
    del first
    assert not links.exists()


def test_where_nothing_can_be_written_the_files_are_read_by_their_names(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    training.save()
    monkeypatch.setattr("tempfile.tempdir", "/proc/nowhere")
    source = open_save(training.run.folder)
    assert source.held.prefix == source.prefix
    assert read_weights(source)["ln_f/b"][0] == 1


def test_a_save_that_was_deleted_before_is_a_sentence(training: Training) -> None:
    for _ in range(3):
        training.save()
    with pytest.raises(CheckpointError, match="model-1 is not there"):
        open_save(training.run.folder, 1)


def test_a_folder_seen_between_two_saves_is_looked_at_again(training: Training) -> None:
    """The save that a list began with was gone at its end: an IndexError came out, where a CheckpointError means another look."""
    training.save()
    assert advice(training.run.best.folder, []) == COPY_AGAIN
