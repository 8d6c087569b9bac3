"""A bundle that does not match its manifest is refused with one sentence that names the file."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from app.engine.bundle import Bundle, Checksum, Parity, crc32, open_bundle, read_manifest, sha256
from app.errors import BundleError
from tests.conftest import run_module
from tests.damage import LFS_POINTER, link_to_nothing


def change(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def edit(folder: Path, **changes: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "folder gone": (shutil.rmtree, "copy is not a folder"),
    "manifest gone": (lambda folder: (folder / "manifest.json").unlink(), "manifest.json cannot be read"),
    "manifest truncated": (
        lambda folder: (folder / "manifest.json").write_text('{"format": 1,'),
        "manifest.json is not",
    ),
    "manifest no text": (lambda folder: (folder / "manifest.json").write_bytes(b"\xff\xfe"), "manifest.json is not"),
    "manifest no object": (lambda folder: (folder / "manifest.json").write_text("[]"), "manifest.json is not"),
    "manifest without a field": (
        lambda folder: (folder / "manifest.json").write_text('{"format": 1}'),
        "manifest.json is not",
    ),
    "format of the future": (lambda folder: edit(folder, format=2), "has format 2 and this version reads 1"),
    "graph gone": (lambda folder: (folder / "model.onnx").unlink(), r"model\.onnx is missing"),
    "graph tampered with": (lambda folder: change(folder / "model.onnx", 100), r"model\.onnx is not the file"),
    "weights gone": (lambda folder: (folder / "model.onnx.data").unlink(), r"model\.onnx\.data is missing"),
    "weights tampered with": (
        lambda folder: change(folder / "model.onnx.data", -1),
        r"model\.onnx\.data is not the file",
    ),
    "weights empty": (
        lambda folder: (folder / "model.onnx.data").write_bytes(b""),
        r"model\.onnx\.data is empty: copy or download it again",
    ),
    "weights as a pointer of Git LFS": (
        lambda folder: (folder / "model.onnx.data").write_text(LFS_POINTER),
        r"model\.onnx\.data is a Git LFS pointer, for which `git lfs pull` fetches the file itself",
    ),
    "a page for the vocabulary": (
        lambda folder: (folder / "tokenizer.json").write_text("<!DOCTYPE html><html>Sign in</html>"),
        r"tokenizer\.json is a web page and not the file itself: download the file",
    ),
    "a link to nothing": (
        lambda folder: link_to_nothing(folder / "model.onnx"),
        r"model\.onnx is a link to \.\./\.\./blobs/a1b2c3, which is not there",
    ),
    "vocabulary tampered with": (
        lambda folder: change(folder / "tokenizer.json", 50),
        r"tokenizer\.json is not the file",
    ),
}


@pytest.fixture
def copy(bundles: dict[int, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundles[4], tmp_path / "copy"))


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("checksum", ["crc32", "sha256"])
def test_a_damaged_bundle_is_refused(copy: Path, damage: str, checksum: Checksum) -> None:
    break_it, message = DAMAGES[damage]
    break_it(copy)
    with pytest.raises(BundleError, match=message) as caught:
        open_bundle(copy, checksum)
    assert re.fullmatch(r"[^\n]+\.", str(caught.value))


def test_a_bundle_without_crc_32s_is_compared_by_sha_256(copy: Path) -> None:
    """The manifests of older versions have none."""
    edit(copy, crc32={})
    open_bundle(copy, "crc32")
    change(copy / "model.onnx.data", 0)
    with pytest.raises(BundleError, match=r"model\.onnx\.data is not the file"):
        open_bundle(copy, "crc32")


def test_a_change_that_keeps_the_crc_32_is_found_by_sha_256(copy: Path) -> None:
    """Anybody who may write the files can make such a change, but not one that keeps the SHA-256."""
    change(copy / "model.onnx.data", 0)
    crcs = json.loads((copy / "manifest.json").read_text())["crc32"]
    edit(copy, crc32=crcs | {"model.onnx.data": crc32(copy / "model.onnx.data")})
    Bundle(copy, read_manifest(copy), checked=False).check(["model.onnx.data"])
    with pytest.raises(BundleError, match=r"model\.onnx\.data is not the file"):
        open_bundle(copy)
    ended = run_module("app", MODEL=str(copy), BUNDLE_CHECK="sha256")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert re.fullmatch(r"error: .*model\.onnx\.data is not the file [^\n]+\.\n", ended.stderr)


def test_a_checksum_is_that_of_other_programs(tmp_path: Path) -> None:
    """The CRC-32 of these nine digits is how implementations are told apart."""
    path = tmp_path / "digits"
    path.write_bytes(b"123456789")
    assert crc32(path) == "cbf43926"
    assert sha256(path) == hashlib.sha256(b"123456789").hexdigest()
    path.write_bytes(b"\0" * 3)
    assert len(crc32(path)) == 8


def test_the_app_names_a_damaged_file_in_one_line_and_exits_with_2(copy: Path) -> None:
    change(copy / "model.onnx.data", 0)
    ended = run_module("app", MODEL=str(copy))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert re.fullmatch(r"error: .*model\.onnx\.data is not the file [^\n]+\.\n", ended.stderr)


def test_a_manifest_may_have_a_parity_or_none(copy: Path) -> None:
    """`export` measures it; a temporary bundle, which is only sampled from, has none."""
    parity = {"tokens": 10, "max_difference": 0.5, "mean_kl": 0.01, "same_choice": 0.9}
    edit(copy, parity=parity)
    assert open_bundle(copy).manifest.parity == Parity(**parity)  # type: ignore[arg-type]
    edit(copy, parity=None)
    assert open_bundle(copy).manifest.parity is None


def test_a_checkpoint_is_not_a_bundle(checkpoint: Path) -> None:
    with pytest.raises(BundleError, match=r"is a checkpoint, not a bundle: run `python -m finetune export"):
        open_bundle(checkpoint)


def test_a_graph_that_the_runtime_cannot_read_is_refused(copy: Path) -> None:
    (copy / "model.onnx").write_bytes(b"not a graph")
    files = json.loads((copy / "manifest.json").read_text())["files"]
    edit(copy, files=files | {"model.onnx": sha256(copy / "model.onnx")}, crc32={})
    ended = run_module("app", MODEL=str(copy))
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert "model.onnx" in ended.stderr
