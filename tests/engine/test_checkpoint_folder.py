"""A checkpoint is found by its folder, by the number of a save, or by the path of one."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from app.engine.checkpoint_folder import open_checkpoint
from app.errors import CheckpointError
from tests.damage import DAMAGES, point_to_lfs

DATA = "data-00000-of-00001"


def copy_save(folder: Path, name: str, out: Path | None = None) -> None:
    """Another save, with the weights of model-7."""
    for part in ("index", DATA):
        shutil.copy(folder / f"model-7.{part}", (out or folder) / f"{name}.{part}")


@pytest.fixture
def run(checkpoint: Path, tmp_path: Path) -> Path:
    """A run with three saves, the newest of which is model-7, and one in best/."""
    folder = Path(shutil.copytree(checkpoint, tmp_path / "run1"))
    copy_save(folder, "model-500")
    copy_save(folder, "model-1000")
    (folder / "best").mkdir()
    copy_save(folder, "model-300", folder / "best")
    for name in ("hparams.json", "encoder.json", "vocab.bpe"):
        shutil.copy(folder / name, folder / "best" / name)
    return folder


@pytest.mark.parametrize(
    ("path", "save", "expected"),
    [
        ("", None, "model-7"),
        ("", 500, "model-500"),
        ("", 1000, "model-1000"),
        ("model-500", None, "model-500"),
        ("model-500", 500, "model-500"),
        ("model-500.index", None, "model-500"),
        (f"model-500.{DATA}", None, "model-500"),
        ("checkpoint", None, "model-7"),
        ("best", None, "model-300"),
        ("best", 300, "model-300"),
        ("best/model-300", None, "model-300"),
    ],
)
def test_every_way_to_name_a_save(run: Path, path: str, save: int | None, expected: str) -> None:
    found = open_checkpoint(run / path, save)
    assert (found.save, found.step) == (expected, int(expected.removeprefix("model-")))
    assert found.prefix.with_suffix(".index").is_file()


THERE = "the saves there are model-7, model-500, model-1000 and best/model-300; name one, as in .*/run1/model-1000"


@pytest.mark.parametrize(
    ("path", "save", "message"),
    [
        ("", 9, f"run1/model-9 is not there: {THERE}"),
        ("", 300, f"run1/model-300 is not there: {THERE}"),
        ("model-9", None, f"run1/model-9 is not there: {THERE}"),
        ("model-9.index", None, f"run1/model-9 is not there: {THERE}"),
        ("model-500", 7, "run1/model-500 is a save already and not number 7"),
        ("nothing", None, "nothing is not a folder"),
    ],
)
def test_a_save_that_is_not_there(run: Path, path: str, save: int | None, message: str) -> None:
    """The sentence lists those that are, also the best one."""
    with pytest.raises(CheckpointError, match=message) as caught:
        open_checkpoint(run / path, save)
    assert re.fullmatch(r"[^\n]+\.", str(caught.value))


NOTES: dict[str, tuple[bytes, str]] = {
    "a path on Colab": (b'model_checkpoint_path: "/content/checkpoint/run1/model-500"\n', "model-500"),
    "a path on Windows": (rb'model_checkpoint_path: "C:\\Users\\me\\checkpoint\\run1\\model-500"', "model-500"),
    "line ends and mark of Windows": (b'\xef\xbb\xbfmodel_checkpoint_path: "model-500"\r\n', "model-500"),
    "all saves": (
        b'model_checkpoint_path: "model-1000"\nall_model_checkpoint_paths: "model-500"\nlast_preserved_timestamp: 1.5e9\n',
        "model-1000",
    ),
}


@pytest.mark.parametrize("note", NOTES)
def test_notes_of_other_machines(run: Path, note: str) -> None:
    text, expected = NOTES[note]
    (run / "checkpoint").write_bytes(text)
    assert open_checkpoint(run).save == expected


def test_without_a_note_the_only_save_is_meant(checkpoint: Path, run: Path, tmp_path: Path) -> None:
    """A run whose file `checkpoint` was not copied."""
    one = Path(shutil.copytree(checkpoint, tmp_path / "one"))
    (one / "checkpoint").unlink()
    assert open_checkpoint(one).save == "model-7"
    (run / "checkpoint").unlink()
    with pytest.raises(CheckpointError, match=f"run1 has no file `checkpoint`, which names its newest save: {THERE}"):
        open_checkpoint(run)
    (run / "checkpoint").write_text("")
    with pytest.raises(CheckpointError, match=f"run1/checkpoint is empty: {THERE}"):
        open_checkpoint(run)


def test_saves_that_were_renamed(checkpoint: Path, tmp_path: Path) -> None:
    """To copy the folder again would not help."""
    run = Path(shutil.copytree(checkpoint, tmp_path / "run1"))
    for part in ("index", DATA):
        (run / f"model-7.{part}").rename(run / f"model-final.{part}")
    with pytest.raises(CheckpointError, match=r"run1/model-7 is not there: the saves there are model-final; name one"):
        open_checkpoint(run)
    assert open_checkpoint(run / "model-final").step == 0


def test_a_save_in_several_files_is_whole_or_refused(run: Path) -> None:
    """TensorFlow numbers the files of one save, and says in each name how many there are."""
    (run / f"model-500.{DATA}").rename(run / "model-500.data-00001-of-00002")
    with pytest.raises(CheckpointError, match=r"model-500\.data-00000-of-00002 is missing: copy the whole checkpoint"):
        open_checkpoint(run, 500)


ELSEWHERE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "the folder above": (
        lambda run: run.parent,
        r"is not a checkpoint: name the folder in it that is one, such as .*/run1",
    ),
    "a typing mistake": (
        lambda run: run.parent / "run2",
        r"run2 is not a folder: name the folder that gpt-2-simple wrote",
    ),
    "an empty folder": (lambda run: make_folder(run.parent / "new"), "new has no save: name the folder"),
    "a Hugging Face folder": (
        lambda run: make_folder(run.parent / "new", "config.json", "model.safetensors"),
        "new is a Hugging Face folder: `python -m finetune import .*new --out models/NAME` makes a checkpoint of it",
    ),
    "a bundle": (lambda run: make_folder(run.parent / "new", "manifest.json"), "new is a bundle, not a checkpoint"),
    "an archive": (
        lambda run: make_folder(run.parent / "new", "checkpoint_run1.tar") / "checkpoint_run1.tar",
        r"checkpoint_run1\.tar is an archive: unpack it",
    ),
}


def make_folder(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(b"tiny".ljust(257, b"\0") + b"ustar" if name.endswith(".tar") else b"{}")
    return folder


@pytest.mark.parametrize("case", ELSEWHERE)
def test_what_is_no_checkpoint_is_named(run: Path, case: str) -> None:
    place, message = ELSEWHERE[case]
    with pytest.raises(CheckpointError, match=message) as caught:
        open_checkpoint(place(run))
    assert re.fullmatch(r"[^\n]+\.", str(caught.value))


@pytest.mark.parametrize("name", ["model-7.index", f"model-7.{DATA}", "encoder.json", "vocab.bpe", "hparams.json"])
def test_a_pointer_of_git_lfs_is_named(run: Path, name: str) -> None:
    """It was told to copy the folder again, which brings the same pointer."""
    point_to_lfs(run / name)
    with pytest.raises(CheckpointError, match=rf"run1/{name} is a Git LFS pointer, for which `git lfs pull`"):
        open_checkpoint(run)


@pytest.mark.parametrize("name", ["n_ctx", "n_embd", "n_head", "n_layer", "n_vocab"])
@pytest.mark.parametrize("value", [0, -1, 2**40])
def test_impossible_numbers(run: Path, name: str, value: int) -> None:
    text = re.sub(rf'("{name}": ?)\d+', rf"\g<1>{value}", (run / "hparams.json").read_text())
    (run / "hparams.json").write_text(text)
    with pytest.raises(CheckpointError, match=rf"hparams\.json has {name} {value}, which no GPT-2 has: copy it again"):
        open_checkpoint(run)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    "name", ["checkpoint", "encoder.json", "vocab.bpe", "hparams.json", "model-7.index", f"model-7.{DATA}"]
)
def test_a_damaged_file_is_one_sentence_or_does_no_harm(
    checkpoint: Path, tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    run = Path(shutil.copytree(checkpoint, tmp_path / "run1"))
    damage(run / name)
    with contextlib.suppress(CheckpointError):
        found = open_checkpoint(run)
        assert (found.save, found.hparams) == ("model-7", open_checkpoint(checkpoint).hparams)
        return
    with pytest.raises(CheckpointError, match=r"\A[^\n]*run1[^\n]*\.\Z"):
        open_checkpoint(run)
