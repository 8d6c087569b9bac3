"""Training by gpt-2-simple's own code, and that this project's training has the same losses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.engine.bundle import Hparams
from app.engine.checkpoint_folder import open_checkpoint
from finetune.checkpoint import initial_weights, write_checkpoint
from finetune.commands.train import train
from finetune.data.prepared import open_data
from tests.conftest import in_a_process_of_its_own, run_module
from tests.finetune.training.runs import logged, training_options


@pytest.mark.slow
def test_gpt_2_simple_trains_a_run(base: Path, tmp_path: Path) -> None:
    shape = ["--init", "scratch", "--n_layer", "1", "--n_head", "2", "--n_embd", "16", "--n_ctx", "1024"]
    arguments = ["--data", str(base / "data"), "--out", str(tmp_path / "run"), "--trainer", "gpt-2-simple"]
    ended = run_module("finetune", "train", *arguments, *shape, "--steps", "3", "--samples", "0")
    assert ended.returncode == 0, ended.stderr
    assert open_checkpoint(tmp_path / "run").step == 3
    assert "loss=" in ended.stdout


@pytest.mark.slow
def test_ten_steps_give_gpt_2_simples_losses(base: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    """From the same weights, on the same windows, with the same learning rate."""
    hparams = Hparams(n_vocab=300, n_ctx=1024, n_embd=16, n_head=2, n_layer=1)
    write_checkpoint(tmp_path / "init", hparams, initial_weights(hparams), vocabulary=base / "init")
    theirs = in_a_process_of_its_own(gpt_2_simples_losses, tmp_path / "init", base / "data", tmp_path)
    plain = {"decay_to": 1.0, "weight_decay": 0.0, "clip": 0.0, "packing": "windows", "batch_size": 1}
    keras(
        train, training_options(base, tmp_path / "run", init=str(tmp_path / "init"), steps=10, save_every=20, **plain)
    )
    ours = [float(row["train"]) for row in logged(tmp_path / "run")]
    assert theirs[0] - theirs[-1] > 0.2
    assert ours == pytest.approx(theirs, abs=1e-3)


def gpt_2_simples_losses(init: Path, data: Path, work: Path) -> list[float]:
    from benchmarks.training import gpt_2_simples_run

    return gpt_2_simples_run(init, open_data(data), work, steps=10, learning_rate=1e-2)[0]
