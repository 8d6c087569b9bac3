"""A bundle whose parts do not fit each other is refused in one sentence, even where every checksum is right."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.engine.bundle import BATCH, WEIGHTS, crc32, open_bundle, sha256
from app.engine.bundle_parts import check_parts
from app.engine.graph_file import read_graph_file
from app.engine.graph_interface import interface
from app.errors import BundleError
from tests.conftest import run_module

SHAPES: dict[str, tuple[dict[str, Any], str]] = {
    "no window": ({"n_ctx": 0}, "manifest.json has hparams with n_ctx 0, which no GPT-2 has: correct it"),
    "a negative window": ({"n_ctx": -1}, "hparams with n_ctx -1"),
    "a window of one": ({"n_ctx": 1}, "model.onnx has n_ctx 64 and the manifest says 1: copy the whole bundle"),
    "a long window": ({"n_ctx": 65}, "model.onnx has n_ctx 64 and the manifest says 65"),
    "a huge window": ({"n_ctx": 2**62}, "hparams with n_ctx 4611686018427387904"),
    "no width": ({"n_embd": 0}, "hparams with n_embd 0"),
    "another width": ({"n_embd": 64}, "model.onnx has n_embd 32 and the manifest says 64"),
    "no heads": ({"n_head": 0}, "hparams with n_head 0"),
    "heads that do not fit": ({"n_head": 3}, "hparams with n_embd 32, which 3 heads cannot share equally"),
    "other heads": ({"n_head": 8}, "model.onnx has n_head 4 and the manifest says 8"),
    "no layers": ({"n_layer": 0}, "hparams with n_layer 0"),
    "another layer": ({"n_layer": 4}, "model.onnx has n_layer 3 and the manifest says 4"),
    "layers without end": ({"n_layer": 2**31}, "hparams with n_layer 2147483648, which no GPT-2 has"),
    "another vocabulary": ({"n_vocab": 99}, "model.onnx has n_vocab 300 and the manifest says 99"),
    "a number with a fraction": ({"n_vocab": 300.5}, "$.hparams.n_vocab"),
    "a word": ({"n_vocab": "many"}, "$.hparams.n_vocab"),
}
FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "an empty end": ({"end": {}}, "manifest.json has an end with neither a token nor a text"),
    "two ends": ({"end": {"token": 1, "text": "x"}}, "an end with both a token and a text"),
    "a token beyond the vocabulary": ({"end": {"token": 300}}, "the end token 300, and the vocabulary has the tokens 0 to 299"),
    "a negative token": ({"end": {"token": -1}}, "the end token -1"),
    "an end without text": ({"end": {"text": ""}}, "an end text of 0 characters"),
    "an endless end": ({"end": {"text": "x" * 100_000}}, "an end text of 100000 characters, and expected are 1 to 300"),
    "a misspelt end": ({"end": {"tokn": 1}}, "unknown field `tokn` - at `$.end`"),
    "a field of nobody": ({"titel": "x"}, "unknown field `titel`"),
    "a long field of nobody": ({"x" * 100_000: 1}, "unknown field `xxx"),
    "no name": ({"name": ""}, "the name ''"),
    "a name of two lines": ({"name": "a\nb"}, "the name 'a\\nb'"),
    "an endless name": ({"name": "x" * 100_000}, "and expected is one line of 1 to 200 characters"),
    "a file outside": ({"crc32": {"../x": "00000000"}}, "checksums of '../x', which is no file of a bundle"),
    "a file of nobody": ({"files": {"x.py": "00"}}, "checksums of 'x.py'"),
    "no checksums": ({"files": {}}, "no checksum of model.onnx in files"),
    "a wrong checksum": ({"crc32": {"model.onnx": "xyz"}}, "model.onnx is not the file its manifest describes"),
    "a version of words": ({"format": "x" * 10_000}, "and this version reads 1: export the bundle again"),
    "a version that is true": ({"format": True}, "has format True"),
    "an endless title": ({"title": "x" * 100_000}, "expected one line of at most 60 characters"),
    "a title of numbers": ({"title": 7}, "$.title"),
    "a template without end": ({"template": "[" + "x" * 300 + "] %\n[B] %"}, "expected at most 300 characters"),
    "tags as long as the window": ({"template": "Ω@ü " * 20 + "%\n[B] %"}, "tags are"),
    "roles it lacks": ({"template": "[USER] %"}, "no pattern with a tag before each of two %"),
    "a length of nothing": ({"sampling": {"length": 0}}, "$.sampling.length"),
    "top_k below 0": ({"sampling": {"top_k": -1}}, "$.sampling.top_k"),
    "megabytes": ({"about": "x" * 2**21}, "more than 1,048,576 bytes"),
    "text of nowhere": ({"accent": ["#"]}, "$.accent"),
}  # fmt: skip


@pytest.fixture
def copy(bundles: dict[int, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundles[8], tmp_path / "copy"))


def read(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return manifest


def edit(folder: Path, **changes: object) -> None:
    (folder / "manifest.json").write_text(json.dumps(read(folder) | changes), encoding="utf-8")


def describe(folder: Path, name: str) -> None:
    """Let the manifest have the checksums that a file has now."""
    manifest = read(folder)
    sums = {"files": {name: sha256(folder / name)}, "crc32": {name: crc32(folder / name)}}
    edit(folder, **{field: manifest[field] | changed for field, changed in sums.items()})


def refusal(folder: Path) -> str:
    """The sentence with which a bundle is refused."""
    with pytest.raises(BundleError) as refused:
        check_parts(open_bundle(folder, "crc32"))
    assert re.fullmatch(r"[^\n]{,600}\.", str(refused.value))
    return str(refused.value)


@pytest.mark.parametrize("case", SHAPES)
def test_a_shape_that_is_not_the_graphs_is_refused(copy: Path, case: str) -> None:
    """The app started with n_layer 5 or n_ctx 65, and answered with 500. With n_embd 0, it ended in a traceback."""
    changes, sentence = SHAPES[case]
    edit(copy, hparams=read(copy)["hparams"] | changes)
    assert sentence in refusal(copy)


@pytest.mark.parametrize("case", FIELDS)
def test_a_field_that_lies_is_refused(copy: Path, case: str) -> None:
    """With {} as the end or a token beyond the vocabulary, the app started and answered every request with 500."""
    changes, sentence = FIELDS[case]
    edit(copy, **changes)
    assert sentence in refusal(copy)


WHOLE: dict[str, tuple[bytes, str]] = {
    "deep nesting": (b'{"format":1,"x":' + b"[" * 100_000, "nested too deeply"),
    "a key twice": (b'{"format":1,"name":"a","name":"b"}', "it has 'name' twice"),
    "a number that is none": (b'{"format":NaN}', "malformed"),
    "a million digits": (b'{"format":' + b"1" * 1_000_000 + b"}", "out of range"),
    "UTF-16": ('{"format":1}'.encode("utf-16"), "malformed"),
    "Latin-1": (b'{"format":1,"name":"\xe9"}', "not UTF-8"),
    "half a character": (b'{"format":1,"name":"\\ud800"}', "is not a bundle's manifest"),
    "a list": (b"[1]", "Expected `object`"),
}


@pytest.mark.parametrize("case", WHOLE)
def test_a_manifest_that_is_no_json_of_ours_is_refused(copy: Path, case: str) -> None:
    content, sentence = WHOLE[case]
    (copy / "manifest.json").write_bytes(content)
    assert sentence in refusal(copy)


def test_a_byte_order_mark_does_no_harm(copy: Path) -> None:
    """Editors on Windows put one in front."""
    manifest = copy / "manifest.json"
    manifest.write_bytes(b"\xef\xbb\xbf" + manifest.read_bytes())
    check_parts(open_bundle(copy))


PLACES: dict[str, Callable[[Path], object]] = {
    "a folder": Path.mkdir,
    "a pipe": os.mkfifo,
    "a device without end": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a file of a terabyte": lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 2**40),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["manifest.json", "model.onnx", "model.onnx.data", "tokenizer.json"])
def test_something_else_in_the_place_of_a_file_is_refused(copy: Path, name: str, place: str) -> None:
    """A pipe without a writer stopped the start for ever."""
    (copy / name).unlink()
    PLACES[place](copy / name)
    assert name in refusal(copy)


def test_the_graphs_that_are_exported_are_those_that_are_expected(copy: Path) -> None:
    manifest = open_bundle(copy).manifest
    assert manifest.batch
    for name, batch in ((WEIGHTS[0], False), (BATCH[0], True)):
        graph = read_graph_file((copy / name).read_bytes())
        assert (graph.inputs, graph.outputs) == interface(manifest.hparams, batch)
        assert (graph.embeddings["wpe"], graph.embeddings["wte.q"]) == ((64, 32), (300, 32))


def test_a_graph_for_batches_is_not_taken_for_the_other(copy: Path) -> None:
    shutil.copyfile(copy / BATCH[0], copy / WEIGHTS[0])
    describe(copy, WEIGHTS[0])
    assert "model.onnx lacks the input last: copy the whole bundle" in refusal(copy)


def graph_without(part: bytes, by: bytes) -> Callable[[bytes], bytes]:
    return lambda content: content.replace(part, by)


GRAPHS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "an input of another name": (graph_without(b"\x06tokens", b"\x06tokenz"), "lacks the input tokens"),
    "a cache of another name": (graph_without(b"past_key_1", b"past_kez_1"), "has n_layer 2 and the manifest says 3"),
    "no embeddings": (graph_without(b"\x03wpe", b"\x03wpf"), "lacks the embeddings of a GPT-2"),
    "text": (lambda _: b"not a graph", "is not a graph"),
    "nothing of a graph": (lambda _: b"\x08\x0a", "has n_layer 0"),
    "half": (lambda content: content[: len(content) // 2], "is not a graph (it is cut off)"),
}


@pytest.mark.parametrize("case", GRAPHS)
def test_a_graph_that_the_engine_cannot_run_is_refused(copy: Path, case: str) -> None:
    """ONNX Runtime loads such graphs, and every request ended with 500."""
    change, sentence = GRAPHS[case]
    path = copy / "model.onnx"
    path.write_bytes(change(path.read_bytes()))
    describe(copy, path.name)
    assert sentence in refusal(copy)


def swap(vocabulary: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    """The same vocabulary with one token spelled otherwise."""
    vocabulary["model"]["vocab"][new] = vocabulary["model"]["vocab"].pop(old)
    return vocabulary


def renumber(vocabulary: dict[str, Any]) -> dict[str, Any]:
    vocabulary["model"]["vocab"]["!"] = 70_000
    return vocabulary


VOCABULARIES: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], str]] = {
    "an id beyond the vocabulary": (renumber, "has tokens whose ids are not 0 to 299"),
    "a byte without a token": (lambda found: swap(found, "ÿ", "yy"), "keeps each byte of a text"),
    "lower case": (lambda found: found | {"normalizer": {"type": "Lowercase"}}, "keeps each byte of a text"),
    "a cut": (
        lambda found: (
            found | {"truncation": {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}}
        ),
        "keeps each byte of a text",
    ),
    "no model": (lambda found: found | {"model": {}}, "is not a vocabulary"),
}


@pytest.mark.parametrize("case", VOCABULARIES)
def test_a_vocabulary_of_another_model_is_refused(copy: Path, case: str) -> None:
    """Even if its checksum is right: a text with the token 70000 was answered with 500."""
    change, sentence = VOCABULARIES[case]
    path = copy / "tokenizer.json"
    path.write_bytes(msgspec.json.encode(change(json.loads(path.read_text(encoding="utf-8")))))
    describe(copy, path.name)
    assert sentence in refusal(copy)


def test_the_app_says_so_in_one_line_and_exits_with_2(copy: Path) -> None:
    edit(copy, hparams=read(copy)["hparams"] | {"n_ctx": 65})
    ended = run_module("app", MODEL=str(copy))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert re.fullmatch(r"error: .*(model|batch)\.onnx has n_ctx 64 and the manifest says 65: [^\n]+\.\n", ended.stderr)


def test_the_app_looks_at_all_its_models(copy: Path, bundles: dict[int, Path]) -> None:
    """A model that is loaded only when it is asked for must not answer every request with an error."""
    edit(copy, hparams=read(copy)["hparams"] | {"n_layer": 4}, name="other")
    ended = run_module("app", MODEL=str(bundles[8]), MODELS=str(copy))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert re.fullmatch(r"error: .*(model|batch)\.onnx has n_layer 3 and the manifest says 4: [^\n]+\.\n", ended.stderr)
