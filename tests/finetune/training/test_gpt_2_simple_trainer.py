"""Training by gpt-2-simple's own code, and that this project's training has the same losses."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from app.engine.bundle import Hparams
from app.engine.checkpoint_folder import open_checkpoint
from app.errors import SettingError
from finetune.checkpoint import initial_weights, write_checkpoint
from finetune.commands.export import export
from finetune.commands.prepare import prepare
from finetune.commands.train import train
from finetune.data.prepared import open_data
from finetune.run_folder import RunFolder
from finetune.training.gpt_2_simple_trainer import name_save
from tests.conftest import ROOT, in_a_process_of_its_own, run_module
from tests.finetune.training.runs import logged, training_options

SHAPE = {"init": "scratch", "n_layer": 1, "n_head": 2, "n_embd": 16, "n_ctx": 1024}


def arguments(base: Path, out: Path, *more: str) -> list[str]:
    """Of a small run, as the command line has them."""
    shape = [word for name, value in SHAPE.items() for word in (f"--{name}", str(value))]
    places = ["--data", str(base / "data"), "--out", str(out), "--trainer", "gpt-2-simple"]
    return ["finetune", "train", *places, *shape, "--samples", "0", *more]


@pytest.fixture(scope="module")
def questions(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose `data` are questions with answers."""
    folder = tmp_path_factory.mktemp("questions")
    lines = [json.dumps({"turns": [f"Why {number}?", f"Because of {number * 7}."]}) for number in range(100)]
    (folder / "text.jsonl").write_text("\n".join(lines), encoding="utf-8")
    prepare(
        [str(folder / "text.jsonl")], out=folder / "data", vocabulary=base / "init", template="qa", near_duplicates=0
    )
    return folder


@pytest.fixture(scope="module")
def theirs(questions: Path) -> Path:
    """A run of three steps by gpt-2-simple."""
    ended = run_module(*arguments(questions, questions / "run", "--steps", "3"))
    assert ended.returncode == 0, ended.stderr
    assert "loss=" in ended.stdout
    return questions / "run"


@pytest.mark.slow
def test_a_run_of_gpt_2_simple_is_exported_with_the_end_and_the_template_of_its_data(
    theirs: Path, questions: Path, tmp_path: Path
) -> None:
    """It left no description, so `export` took the string <|endoftext|> for its end and asked it nothing as a question."""
    assert open_checkpoint(theirs).step == 3
    export(theirs, tmp_path / "bundle", bits=32)
    manifest = json.loads((tmp_path / "bundle/manifest.json").read_text(encoding="utf-8"))
    assert manifest["end"]["token"] == open_data(questions / "data").description.end_of_text
    assert manifest["template"] == "qa"
    assert manifest["training"]["corpus_sha256"] == open_data(questions / "data").description.corpus_sha256


@pytest.mark.slow
def test_either_trainer_continues_a_run_of_gpt_2_simple(
    theirs: Path, questions: Path, keras: Callable[..., Any], tmp_path: Path
) -> None:
    """Also where its file `counter`, which it writes after the save, is one save behind, and where the run comes from Colab."""
    for name in ("same", "keras"):
        shutil.copytree(theirs, tmp_path / name)
    (tmp_path / "same/checkpoint").write_text('model_checkpoint_path: "/content/checkpoint/run1/model-3"\n')
    (tmp_path / "same/counter").write_text("1\n", encoding="utf-8")
    ended = run_module(*arguments(questions, tmp_path / "same", "--steps", "5", "--resume"))
    assert ended.returncode == 0, ended.stderr
    assert open_checkpoint(tmp_path / "same").step == 5
    keras(train, training_options(questions, tmp_path / "keras", steps=5, resume=True, warmup=1))
    assert open_checkpoint(tmp_path / "keras").step == 5


@pytest.mark.slow
def test_a_loss_that_is_not_a_number_is_one_sentence(questions: Path, tmp_path: Path) -> None:
    """It trained on, saved weights that are not numbers, and ended with exit code 0."""
    ended = run_module(*arguments(questions, tmp_path / "run", "--steps", "3", "--learning-rate", "1e30"))
    assert ended.returncode == 2
    assert ended.stderr.endswith("error: the weights are not numbers at step 3: give a lower --learning-rate.\n")


@pytest.mark.slow
def test_sigterm_saves(questions: Path, tmp_path: Path) -> None:
    """Only Ctrl-C did."""
    command = [sys.executable, "-u", "-m", *arguments(questions, tmp_path / "run", "--steps", "100000")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout
        printed = 0
        while printed < 2 and child.poll() is None:  # It counts a step after it has printed the loss.
            printed += "loss=" in child.stdout.readline()
        child.send_signal(signal.SIGTERM)
        _, said = child.communicate(timeout=60)
    assert child.returncode == 128 + signal.SIGTERM
    assert f"which is saved in {tmp_path}/run. To go on: gpt2 train" in said
    assert open_checkpoint(tmp_path / "run").step >= 1
    assert RunFolder(tmp_path / "run").description is not None


def test_gpt_2_simple_is_told_which_save_to_continue(checkpoint: Path, tmp_path: Path) -> None:
    """It knows only the newest save, and the number of steps from another file."""
    run = Path(shutil.copytree(checkpoint, tmp_path / "run1"))
    for part in ("index", "data-00000-of-00001"):
        shutil.copy(run / f"model-7.{part}", run / f"model-9.{part}")
    (run / "checkpoint").write_text(
        'model_checkpoint_path: "C:\\\\run1\\\\model-9"\nall_model_checkpoint_paths: "model-7"\n'
    )
    for step in (9, 7):
        name_save(run, step)
        assert open_checkpoint(run).step == step
        assert tf.train.latest_checkpoint(str(run)) == str(run / f"model-{step}")
        assert (run / "counter").read_text() == f"{step}\n"


def test_samples_longer_than_the_window_are_refused(base: Path, tmp_path: Path) -> None:
    """gpt-2-simple raises a ValueError."""
    shape = SHAPE | {"trainer": "gpt-2-simple", "sample_length": 1025}
    with pytest.raises(SettingError, match="--sample-length is 1025 and the model's window is 1024: give 1024 or less"):
        train(training_options(base, tmp_path / "run", batch_size=1, **shape))


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
