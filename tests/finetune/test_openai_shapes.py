"""The weights tell which of OpenAI's models a run was trained from, and so which files it lacks."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from app.engine.checkpoint_folder import MODEL_FILES, open_checkpoint
from app.errors import CheckpointError
from finetune.checkpoint import open_save, read_weights, variable_shapes
from finetune.commands.export import export
from finetune.openai_shapes import SHAPES, OpenaiModel, stored_shape


@pytest.mark.parametrize("model", SHAPES)
def test_each_model_is_told_by_its_weights(model: OpenaiModel) -> None:
    """Also beside the variables of an optimizer, which old runs saved too."""
    variables = {f"model/{name}": list(shape) for name, shape in variable_shapes(SHAPES[model]).items()}
    adam = {f"{name}/Adam": shape for name, shape in variables.items()} | {"beta1_power": []}
    found = stored_shape(variables | adam)
    assert found is not None
    assert found.model == model


def test_other_weights_are_of_no_model() -> None:
    assert stored_shape({"global_step": []}) is None
    other = stored_shape({"model/wte": [300, 32], "model/wpe": [64, 32], "model/h0/ln_1/b": [32]})
    assert other is not None
    assert (other.model, str(other)) == (None, "1 layers, 32 wide, 300 tokens")


@pytest.fixture
def bare(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run with nothing but its saves, as other trainers write it. The tiny model stands for the 124M."""
    monkeypatch.setitem(SHAPES, "124M", open_checkpoint(checkpoint).hparams)
    monkeypatch.chdir(tmp_path)
    run = Path(shutil.copytree(checkpoint, tmp_path / "run1"))
    for name in MODEL_FILES:
        (run / name).unlink()
    return run


@pytest.mark.parametrize("verb", [open_save, lambda run: export(run, run.parent / "out")])
def test_a_run_without_the_files_of_its_model(bare: Path, verb: Callable[[Path], object]) -> None:
    """It was told to copy the whole folder again, which lacks the same files."""
    with pytest.raises(CheckpointError) as caught:
        verb(bare)
    assert str(caught.value) == (
        f"{bare} lacks hparams.json, encoder.json and vocab.bpe: by its weights it is a 124M, so copy these 3 files "
        f"from models/124M (`python -m finetune download 124M` makes it) into {bare}."
    )
    assert not (bare.parent / "out").exists()


def test_a_model_that_is_there_already_is_not_to_be_downloaded(bare: Path, checkpoint: Path) -> None:
    shutil.copytree(checkpoint, "models/124M")
    with pytest.raises(CheckpointError, match=r"so copy these 3 files from models/124M into .*/run1\."):
        open_save(bare)
    for name in MODEL_FILES:
        shutil.copy(Path("models/124M") / name, bare / name)
    assert read_weights(open_save(bare)).keys() == variable_shapes(SHAPES["124M"]).keys()


def test_one_file_that_is_missing(bare: Path, checkpoint: Path) -> None:
    for name in MODEL_FILES[:2]:
        shutil.copy(checkpoint / name, bare / name)
    with pytest.raises(
        CheckpointError, match=r"run1 lacks vocab\.bpe: by its weights it is a 124M, so copy this file from"
    ):
        open_save(bare)


def test_the_shape_of_another_model(bare: Path, checkpoint: Path) -> None:
    for name in MODEL_FILES:
        shutil.copy(checkpoint / name, bare / name)
    text = (bare / "hparams.json").read_text().replace('"n_layer":3', '"n_layer":4')
    (bare / "hparams.json").write_text(text)
    message = "is not there: the weights are those of a 124M, so copy hparams.json, encoder.json and vocab.bpe from models/124M"
    with pytest.raises(CheckpointError, match=message):
        read_weights(open_save(bare))
