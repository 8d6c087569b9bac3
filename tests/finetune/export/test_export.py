"""A checkpoint becomes a bundle, or one sentence says why not."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from app.engine.bundle import BATCH, FILES, read_manifest
from app.engine.checkpoint_folder import open_checkpoint
from app.errors import CheckpointError, SettingError
from finetune.__main__ import main
from finetune.commands.export import export


def test_the_manifest_says_what_the_model_is(bundles: dict[int, Path]) -> None:
    manifest = read_manifest(bundles[8])
    assert (manifest.name, manifest.bits, manifest.template) == ("tiny8", 8, "text")
    assert manifest.end.text == "<|endoftext|>"
    assert manifest.training == {"checkpoint": "model-7", "step": 7}
    assert manifest.parity is not None
    assert manifest.parity.tokens == 64
    assert set(manifest.files) == {*FILES, *BATCH}
    assert {"at", "tensorflow", "onnxruntime", "gpt-2-simple"} <= set(manifest.made)


def test_the_command_line(checkpoint: Path, tmp_path: Path) -> None:
    """The end marker is a string or, if it is all digits, the id of a token."""
    out = tmp_path / "models" / "mine"
    arguments = ["export", "--checkpoint", str(checkpoint), "--out", str(out), "--bits", "4", "--end", "299"]
    assert main([*arguments, "--template", "qa"]) == 0
    manifest = read_manifest(out)
    assert (manifest.bits, manifest.end.token, manifest.end.text, manifest.template) == (4, 299, None, "qa")
    assert sorted(path.name for path in out.parent.iterdir()) == ["DEFAULT", "mine"]


def test_an_older_bundle_is_replaced_and_its_model_card_kept(
    bundles: dict[int, Path], checkpoint: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(bundles[8], tmp_path / "model"))
    (out / "README.md").write_text("card")
    export(checkpoint, out, bits=4)
    assert read_manifest(out).bits == 4
    assert (out / "README.md").read_text() == "card"
    assert list(tmp_path.iterdir()) == [out]


def test_a_folder_that_is_no_bundle_is_not_replaced(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(SettingError, match="exists and is not a bundle"):
        export(checkpoint, tmp_path)
    assert (tmp_path / "precious.txt").read_text() == "mine"


def test_a_checkpoint_that_was_saved_on_another_machine_is_found(checkpoint: Path, tmp_path: Path) -> None:
    """A run trained on Colab names its save by a path on that machine."""
    copy = Path(shutil.copytree(checkpoint, tmp_path / "run1"))
    (copy / "checkpoint").write_text('model_checkpoint_path: "/content/checkpoint/run1/model-7"\n')
    assert open_checkpoint(copy).prefix == copy / "model-7"
    export(copy, tmp_path / "model")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "folder gone": (shutil.rmtree, "copy is not a folder"),
    "hparams gone": (
        lambda folder: (folder / "hparams.json").unlink(),
        r"copy lacks hparams\.json: .*; by its weights it has 3 layers, 32 wide, 300 tokens",
    ),
    "hparams truncated": (lambda folder: truncate(folder / "hparams.json"), "hparams.json does not describe"),
    "heads do not divide": (
        lambda folder: (folder / "hparams.json").write_text(
            '{"n_vocab": 300, "n_ctx": 64, "n_embd": 32, "n_head": 5, "n_layer": 3}'
        ),
        "hparams.json has n_embd 32, which 5 heads cannot share equally",
    ),
    "shape of another model": (
        lambda folder: (folder / "hparams.json").write_text(
            '{"n_vocab": 300, "n_ctx": 128, "n_embd": 32, "n_head": 4, "n_layer": 3}'
        ),
        r"model/wpe should be \[128, 32\]",
    ),
    "more layers than there are": (
        lambda folder: (folder / "hparams.json").write_text(
            '{"n_vocab": 300, "n_ctx": 64, "n_embd": 32, "n_head": 4, "n_layer": 4}'
        ),
        r"model/h3/.* is not there",
    ),
    "index gone": (lambda folder: (folder / "model-7.index").unlink(), "model-7.index is missing"),
    "index truncated": (lambda folder: truncate(folder / "model-7.index"), "model-7 is damaged"),
    "weights gone": (lambda folder: (folder / "model-7.data-00000-of-00001").unlink(), "model-7.data.* is missing"),
    "weights truncated": (lambda folder: truncate(folder / "model-7.data-00000-of-00001"), "model-7 is damaged"),
    "vocabulary gone": (
        lambda folder: (folder / "encoder.json").unlink(),
        "copy lacks encoder.json: copy this file from",
    ),
    "vocabulary truncated": (lambda folder: truncate(folder / "encoder.json"), "encoder.json is not a vocabulary"),
    "merges truncated": (
        lambda folder: (folder / "vocab.bpe").write_text("#version: 0.2\na\n"),
        "vocab.bpe is not a list of merges",
    ),
    "vocabulary of another model": (
        lambda folder: (folder / "encoder.json").write_text(
            json.dumps(json.loads((folder / "encoder.json").read_text()) | {"more": 300})
        ),
        "301 tokens and hparams.json 300",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_refused(checkpoint: Path, tmp_path: Path, damage: str) -> None:
    copy = Path(shutil.copytree(checkpoint, tmp_path / "copy"))
    break_it, message = DAMAGES[damage]
    break_it(copy)
    with pytest.raises(CheckpointError, match=message) as caught:
        export(copy, tmp_path / "model")
    assert re.fullmatch(r"[^\n]+\.", str(caught.value))
    assert not (tmp_path / "model").exists()
    assert not list(tmp_path.glob(".model*"))


@pytest.mark.parametrize(
    ("end", "message"), [("", "--end is empty"), ("300", "--end is token 300 and the vocabulary has 300")]
)
def test_an_impossible_end_marker_is_refused(checkpoint: Path, tmp_path: Path, end: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        export(checkpoint, tmp_path / "model", end=end)


def test_the_command_line_says_so_in_one_line_and_exits_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "--checkpoint", str(tmp_path / "none"), "--out", str(tmp_path / "model")]) == 2
    assert re.fullmatch(r"error: .*none is not a folder: [^\n]+\.\n", capsys.readouterr().err)


def test_a_disk_error_is_one_line_too(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["export", "--checkpoint", str(checkpoint), "--out", str(tmp_path / "file" / "model")]) == 2
    assert re.fullmatch(r"error: .*/file: File exists; [^\n]+\.\n", capsys.readouterr().err)
