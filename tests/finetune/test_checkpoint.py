"""Checkpoints are read and written as gpt-2-simple does it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from app.engine.batch import generate
from app.engine.checkpoint_folder import open_checkpoint
from app.engine.generation import GenerationOptions, prepare
from app.engine.sampling import Sampling
from finetune.checkpoint import read_weights, write_checkpoint


def test_gpt_2_simple_loads_what_is_written_here_and_reading_it_back_is_exact(checkpoint: Path, tmp_path: Path) -> None:
    weights = read_weights(open_checkpoint(checkpoint))
    hparams = open_checkpoint(checkpoint).hparams
    write_checkpoint(tmp_path / "copy", hparams, weights, vocabulary=checkpoint, step=9)
    again = open_checkpoint(tmp_path / "copy")
    assert again.step == 9
    assert all(np.array_equal(weight, read_weights(again)[name]) for name, weight in weights.items())
    from app.engine.tensorflow import TensorflowEngine

    engine = TensorflowEngine(tmp_path / "copy")
    options = GenerationOptions(length=5, sampling=Sampling(temperature=0))
    assert len(list(generate(engine, prepare(engine, "Why", options), options))) == 5
