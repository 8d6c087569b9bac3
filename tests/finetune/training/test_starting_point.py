"""Where a run starts: scratch, a checkpoint, or the save of a run that was interrupted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from app.engine.bundle import Hparams
from app.engine.checkpoint_folder import open_checkpoint
from app.errors import CheckpointError, FatalError, SettingError
from finetune.checkpoint import initial_weights, newest_whole, write_checkpoint
from finetune.commands.prepare import prepare
from finetune.commands.train import train
from finetune.option_ranges import option
from finetune.run_folder import RunFolder
from tests.conftest import write_tiny
from tests.damage import point_to_lfs
from tests.finetune.training.runs import logged, stopped_after, training_options, weights_of


def test_from_scratch_with_the_vocabulary_of_the_data(base: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    shape = {"n_layer": 1, "n_head": 2, "n_embd": 16, "n_ctx": 32}
    keras(train, training_options(base, tmp_path / "run", init="scratch", steps=4, **shape))
    assert open_checkpoint(tmp_path / "run").hparams == Hparams(n_vocab=300, **shape)


@pytest.mark.slow
def test_an_interrupted_run_ends_with_the_same_weights(base: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    """Resuming restores the optimizer, the learning rate and the position in the data, also with gradient accumulation."""
    common = training_options(base, tmp_path / "whole", steps=10, accumulate=2, warmup=3, save_every=5)
    keras(train, common)
    keras(stopped_after, replace(common, out=tmp_path / "parts"), 7)
    assert open_checkpoint(tmp_path / "parts").step == 7
    keras(train, replace(common, out=tmp_path / "parts", resume=True))
    whole, parts = weights_of(tmp_path / "whole"), weights_of(tmp_path / "parts")
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)
    assert [row["step"] for row in logged(tmp_path / "parts")] == [str(step) for step in range(1, 11)]


def test_a_run_of_gpt_2_simple_is_resumed(base: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    """It continues from the weights where it stopped: two steps at a learning rate of almost 0 change almost nothing."""
    run = tmp_path / "run"
    hparams = open_checkpoint(base / "init").hparams
    write_checkpoint(run, hparams, initial_weights(hparams, seed=5), vocabulary=base / "init", step=3)
    keras(train, training_options(base, run, steps=5, resume=True, learning_rate=1e-30, weight_decay=0.0))
    assert open_checkpoint(run).step == 5
    before = initial_weights(hparams, seed=5)
    after = weights_of(run)
    assert all(np.allclose(after[name], before[name], rtol=0, atol=1e-25) for name in before)


@pytest.mark.slow
def test_a_damaged_save_is_skipped(base: Path, finished: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    """The newest save is only half written, so the one before it is used."""
    run = shutil.copytree(finished, tmp_path / "run")
    data = run / "model-12.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:1000])
    assert newest_whole(run)[0].save == "model-8"
    keras(train, training_options(base, run, resume=True))
    assert newest_whole(run)[0].save == "model-12"


def lose_a_file(run: Path) -> None:
    (run / "model-12.index").unlink()


def lose_the_weights(run: Path) -> None:
    (run / "model-12.data-00000-of-00001").unlink()


def spoil(run: Path) -> None:
    source, weights = newest_whole(run)
    ruined = weights | {"wpe": weights["wpe"] * np.float32(np.nan)}
    write_checkpoint(run, source.hparams, ruined, run, step=12, older=["model-8"])


@pytest.mark.parametrize("damage", [lose_a_file, lose_the_weights, spoil])
def test_a_save_that_cannot_be_used_is_skipped(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None]
) -> None:
    """A save without one of its files ended the run, and one of numbers that are not finite was trained further."""
    run = shutil.copytree(finished, tmp_path / "run")
    damage(run)
    assert newest_whole(run)[0].save == "model-8"
    assert capsys.readouterr().err.endswith(": using the save before it, model-8.\n")


@pytest.mark.slow
def test_after_a_damaged_save_the_one_that_was_used_is_kept(
    base: Path, finished: Path, keras: Callable[..., Any], tmp_path: Path
) -> None:
    """Of the earlier saves the newest was kept, which was the damaged one, and the good one was deleted."""
    run = shutil.copytree(finished, tmp_path / "run")
    (run / "model-12.data-00000-of-00001").write_bytes(b"")
    keras(train, training_options(base, run, resume=True, steps=10))
    assert {path.stem for path in run.glob("model-*.index")} == {"model-8", "model-10"}
    assert newest_whole(run)[0].save == "model-10"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"validation_tokens": 100}, "--validation-tokens is 100 and was 20000 when"),
        ({"data": "other"}, "held out 13 documents for validation and"),
    ],
    ids=["another sample", "another split"],
)
def test_a_run_is_not_resumed_with_another_validation_text(
    base: Path, finished: Path, checkpoint: Path, tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    """The lowest loss so far was compared with losses on other text, which perhaps was trained on."""
    if "data" in changes:
        text = str(data_text(base))
        prepare([text], out=tmp_path / "other", vocabulary=checkpoint, validation=0.3, near_duplicates=0)
        changes = {"data": tmp_path / "other"}
    with pytest.raises(SettingError, match=sentence):
        train(replace(training_options(base, finished, resume=True, steps=13), **changes))


def data_text(base: Path) -> Path:
    """The text that the data of `base` were prepared from."""
    return (base / "data").resolve().parent / "text.txt"


def test_a_damaged_optimizer_state_is_refused(base: Path, finished: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    (run / "training-12.npz").write_bytes(b"PK")
    with pytest.raises(CheckpointError, match=r"training-12\.npz is damaged: delete it"):
        train(training_options(base, run, resume=True, steps=13))


@pytest.mark.parametrize("name", ["training-12.npz", "description.json"])
def test_a_pointer_beside_the_weights_is_named_too(name: str, base: Path, finished: Path, tmp_path: Path) -> None:
    """The advice was to delete an optimizer state that `git lfs pull` would have fetched."""
    run = shutil.copytree(finished, tmp_path / "run")
    point_to_lfs(run / name)
    with pytest.raises(CheckpointError, match=f"{name} is a Git LFS pointer, for which `git lfs pull` fetches"):
        train(training_options(base, run, resume=True, steps=13))


def test_an_optimizer_state_of_another_shape_is_refused(
    base: Path, finished: Path, keras: Callable[..., Any], tmp_path: Path
) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    with np.load(run / "training-12.npz") as state:
        arrays = {name: array[..., :1] if array.ndim else array for name, array in state.items()}
    np.savez(run / "training-12.npz", **arrays)
    with pytest.raises(CheckpointError, match="the saved optimizer state does not fit this model: resume with"):
        keras(train, training_options(base, run, resume=True, steps=13))


def test_a_run_is_neither_overwritten_nor_resumed_with_other_options(base: Path, finished: Path) -> None:
    with pytest.raises(SettingError, match="a run at step 12: add --resume"):
        train(training_options(base, finished))
    with pytest.raises(SettingError, match=r"--learning-rate is 0.1 and was 0.01 when"):
        train(training_options(base, finished, resume=True, steps=13, learning_rate=0.1))
    with pytest.raises(SettingError, match="is at step 12 already: give a higher --steps"):
        train(training_options(base, finished, resume=True))


@pytest.mark.parametrize("changes", [{"tokens_per_step": 4096}, {"optimizer": "adafactor"}])
def test_a_run_that_began_without_an_option_is_not_resumed_with_it(
    base: Path, finished: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    """With `--batch-size auto`, --tokens-per-step was ignored then."""
    run = RunFolder(Path(shutil.copytree(finished, tmp_path / "run")))
    before = run.description
    assert before
    (name,) = changes
    run.describe(
        msgspec.structs.replace(before, options={key: value for key, value in before.options.items() if key != name})
    )
    with pytest.raises(SettingError, match=f"{option(name)} is {changes[name]} and was "):
        train(training_options(base, run.folder, resume=True, steps=13, batch_size="auto", **changes))


def test_another_vocabulary_is_refused(base: Path, tmp_path: Path) -> None:
    write_tiny(tmp_path / "other")
    merges = (tmp_path / "other/vocab.bpe").read_text(encoding="utf-8").splitlines()
    (tmp_path / "other/vocab.bpe").write_text("\n".join(merges[:-1]), encoding="utf-8")
    with pytest.raises(FatalError, match="prepared with a different vocabulary"):
        train(training_options(base, tmp_path / "run", init=str(tmp_path / "other")))
