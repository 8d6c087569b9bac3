"""--save, or the path of a save: an older save is exported, sampled, evaluated and trained further."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.engine.bundle import open_bundle, read_manifest
from app.engine.checkpoint_folder import open_checkpoint
from app.engine.onnx import OnnxEngine
from app.engine.tensorflow import TensorflowEngine
from app.errors import CheckpointError, SettingError
from finetune.__main__ import main
from finetune.checkpoint import initial_weights, newest_whole, read_weights, write_checkpoint
from finetune.commands.evaluate import evaluate
from finetune.commands.export import export
from finetune.commands.sample import sample
from finetune.commands.train import train
from finetune.data.prepared import open_data
from finetune.export.parity import read
from finetune.run_folder import RunFolder
from finetune.training.starting_point import starting_point
from finetune.writing_options import WritingOptions
from tests.finetune.training.runs import training_options, weights_of


@pytest.fixture(scope="module")
def two(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of gpt-2-simple with two saves of different weights: model-3 and, newer, model-7."""
    run = Path(shutil.copytree(checkpoint, tmp_path_factory.mktemp("two") / "run1"))
    source = open_checkpoint(run)
    weights = {name: w * 8 if w.ndim > 1 else w for name, w in initial_weights(source.hparams, seed=5).items()}
    write_checkpoint(run, source.hparams, weights, vocabulary=run, step=3)
    write_checkpoint(run, source.hparams, read_weights(open_checkpoint(checkpoint)), run, step=7, older=["model-3"])
    return run


@pytest.mark.parametrize(("path", "save"), [("", 3), ("model-3", None)])
def test_export_takes_the_save_that_is_named(two: Path, tmp_path: Path, path: str, save: int | None) -> None:
    """Its logits are compared with those of the same save: with those of the newest it would be refused."""
    export(two / path, tmp_path / "model", bits=32, save=save)
    manifest = read_manifest(tmp_path / "model")
    assert manifest.training == {"checkpoint": "model-3", "step": 3}
    assert manifest.parity is not None
    assert manifest.parity.mean_kl < 1e-6
    engine = OnnxEngine(open_bundle(tmp_path / "model"), threads=1)
    expected = TensorflowEngine(two / "model-3").all_logits(np.array([1, 2, 3]))[-1]
    assert np.allclose(read(engine.slots(1, 3), [1, 2, 3]), expected, atol=1e-3)


def test_sample_takes_the_save_that_is_named(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = {}
    for path, save in ((two, None), (two, 7), (two, 3), (two / "model-3", None)):
        sample(str(path), options=WritingOptions(length=20, seed=1), bits=32, save=save)
        printed[path.name, save] = capsys.readouterr().out
    assert printed["run1", None] == printed["run1", 7]
    assert printed["run1", 3] == printed["model-3", None] != printed["run1", 7]


@pytest.mark.slow
def test_evaluate_takes_the_save_that_is_named(two: Path, data: Path, tmp_path: Path) -> None:
    reports = {}
    for save in (3, 7):
        evaluate(two, data, tmp_path / str(save), samples=2, length=20, max_tokens=500, save=save)
        reports[save] = json.loads((tmp_path / str(save) / "report.json").read_text())
    assert [report["save"] for report in reports.values()] == ["model-3", "model-7"]
    assert {report["checkpoint"] for report in reports.values()} == {"run1"}
    assert reports[3]["validation"]["nats"] != reports[7]["validation"]["nats"]


@pytest.mark.parametrize(("path", "save"), [("", 3), ("model-3", None)])
def test_training_begins_at_the_save_that_is_named(
    base: Path, two: Path, tmp_path: Path, path: str, save: int | None
) -> None:
    options = training_options(base, tmp_path / "run", init=str(two / path), save=save)
    start = starting_point(options, open_data(options.data), RunFolder(options.out))
    expected = read_weights(open_checkpoint(two, 3))
    assert all(np.array_equal(weight, expected[name]) for name, weight in start.weights.items())


@pytest.mark.slow
def test_a_run_goes_back_to_an_older_save(
    base: Path, finished: Path, keras: Callable[..., Any], tmp_path: Path
) -> None:
    """--resume --save 8 repeats the steps from 8 on: with the same options the weights are those of the first time."""
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    before = weights_of(run)
    keras(train, training_options(base, run, resume=True, save=8))
    assert open_checkpoint(run).step == 12
    assert all(np.array_equal(w, before[name]) for name, w in weights_of(run).items())


def test_a_run_without_its_note_is_resumed(base: Path, finished: Path, tmp_path: Path) -> None:
    run = RunFolder(Path(shutil.copytree(finished, tmp_path / "run")))
    (run.folder / "checkpoint").unlink()
    options = training_options(base, run.folder, resume=True, steps=13)
    data = open_data(options.data)
    with pytest.raises(
        CheckpointError, match="has no file `checkpoint`, which names its newest save: the saves there are"
    ):
        starting_point(options, data, run)
    start = starting_point(replace(options, save=8), data, run)
    assert start.step == 8
    assert start.state is not None


def test_a_save_that_is_damaged_is_not_replaced_by_another(two: Path, tmp_path: Path) -> None:
    """--init takes the save before a damaged one, and says so; but not where one was named."""
    run = Path(shutil.copytree(two, tmp_path / "run1"))
    data = run / "model-7.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:1000])
    assert newest_whole(run)[0].save == "model-3"
    for path, save in ((run, 7), (run / "model-7", None)):
        with pytest.raises(
            CheckpointError, match=r"model-7 is damaged: copy it again, or name another save, such as .*model-3"
        ):
            newest_whole(path, save)


def test_refusals(two: Path, bundles: dict[int, Path], base: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"--save is 3, and .* is a bundle, which has no saves: leave --save out"):
        sample(str(bundles[8]), save=3)
    with pytest.raises(CheckpointError, match="model-5 is not there: the saves there are model-3 and model-7"):
        export(two, tmp_path / "out", save=5)
    with pytest.raises(CheckpointError, match="model-5 is not there: the saves there are model-3 and model-7"):
        train(training_options(base, tmp_path / "run", init=str(two / "model-5")))
    with pytest.raises(SettingError, match="--init scratch starts from none: leave it out"):
        train(training_options(base, tmp_path / "run", init="scratch", save=5))
    assert list(tmp_path.iterdir()) == []


def test_the_command_line(two: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--checkpoint", str(two), "--out", str(tmp_path / "m"), "--save", "3"]) == 0
    assert main(["sample", "--checkpoint", str(two), "--save", "5"]) == 2
    assert capsys.readouterr().err.endswith(f"name one, as in {two}/model-7.\n")


@pytest.mark.parametrize(
    ("init", "message"), [("117M", "which is called 124M now: .* download 124M"), ("355M", "download 355M")]
)
def test_a_model_that_was_not_downloaded(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, init: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=f"models/{init} does not exist.*{message}"):
        train(training_options(base, tmp_path / "run", init=init))
