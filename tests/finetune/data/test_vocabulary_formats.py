"""A vocabulary is the same however its files are formatted, wherever two are compared."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from app.engine.tokenizer import Tokenizer
from app.engine.vocabulary_files import BytePairs, read_byte_pairs, write_byte_pairs
from app.errors import CheckpointError
from finetune.checkpoint import write_checkpoint
from finetune.commands.evaluate import evaluate
from finetune.commands.export import export
from finetune.commands.prepare import prepare
from finetune.data.prepared import open_data
from finetune.data.vocabulary import read_vocabulary, vocabulary_differs
from finetune.run_folder import RunFolder
from finetune.training.starting_point import starting_point
from tests.conftest import SENTENCES
from tests.finetune.training.runs import training_options

BOM = b"\xef\xbb\xbf"


def rewrite(folder: Path, change: Callable[[bytes], bytes] = bytes, **style: Any) -> None:
    """Write the same vocabulary in another style, and change the bytes of both files."""
    ids = json.loads((folder / "encoder.json").read_text())
    (folder / "encoder.json").write_bytes(change(json.dumps(ids, **style).encode()))
    (folder / "vocab.bpe").write_bytes(change((folder / "vocab.bpe").read_bytes()))


def without_version_line(folder: Path) -> None:
    lines = (folder / "vocab.bpe").read_text().split("\n")
    (folder / "vocab.bpe").write_text("\n".join(lines[1:-1]))


FORMATS: dict[str, Callable[[Path], None]] = {
    "indented": lambda folder: rewrite(folder, indent=2),
    "sorted": lambda folder: rewrite(folder, sort_keys=True),
    "no escapes": lambda folder: rewrite(folder, ensure_ascii=False),
    "no spaces": lambda folder: rewrite(folder, separators=(",", ":")),
    "line ends of Windows": lambda folder: rewrite(folder, lambda text: text.replace(b"\n", b"\r\n"), indent=4),
    "byte-order marks": lambda folder: rewrite(folder, lambda text: BOM + text),
    "no line end": lambda folder: rewrite(folder, bytes.rstrip),
    "more line ends": lambda folder: rewrite(folder, lambda text: text + b"\n\n"),
    "no version line": without_version_line,
}


@pytest.fixture(params=FORMATS)
def otherwise(request: pytest.FixtureRequest, checkpoint: Path, tmp_path: Path) -> Path:
    """The tiny model, with its vocabulary formatted in another way."""
    run = Path(shutil.copytree(checkpoint, tmp_path / "run1"))
    FORMATS[request.param](run)
    return run


def test_it_is_the_same_vocabulary(checkpoint: Path, otherwise: Path) -> None:
    """`train` refused data that was prepared with OpenAI's own vocabulary, since somebody had indented the file."""
    assert not vocabulary_differs(checkpoint, otherwise)
    original = Tokenizer.from_gpt2(checkpoint)
    assert Tokenizer.from_gpt2(otherwise).encode(SENTENCES[0]) == original.encode(SENTENCES[0])


def test_every_verb_takes_it(checkpoint: Path, data: Path, tmp_path: Path) -> None:
    otherwise = Path(shutil.copytree(checkpoint, tmp_path / "run1"))
    rewrite(otherwise, lambda text: BOM + text.replace(b"\n", b"\r\n"), indent=2, sort_keys=True)
    evaluate(otherwise, data, tmp_path / "report", samples=1, length=10, max_tokens=100)
    (tmp_path / "text.txt").write_text(SENTENCES[0])
    prepare([str(tmp_path / "text.txt")], out=tmp_path / "prepared", vocabulary=otherwise, validation=0)
    assert not vocabulary_differs(tmp_path / "prepared", data)
    export(otherwise, tmp_path / "theirs", format="huggingface")
    assert read_byte_pairs(tmp_path / "theirs", ("vocab.json", "merges.txt")) == read_byte_pairs(otherwise)
    assert (tmp_path / "theirs/merges.txt").read_bytes().startswith(b"#version: 0.2\n")


def test_training_takes_it_and_a_save_has_it_as_gpt_2_simple_reads_it(base: Path, tmp_path: Path) -> None:
    start = Path(shutil.copytree(base / "init", tmp_path / "start"))
    rewrite(start, lambda text: BOM + text.replace(b"\n", b"\r\n"), indent=2)
    options = training_options(base, tmp_path / "run", init=str(start))
    found = starting_point(options, open_data(options.data), RunFolder(options.out))
    write_checkpoint(options.out, found.hparams, found.weights, found.vocabulary, step=1)
    for name in ("encoder.json", "vocab.bpe"):
        assert (options.out / name).read_bytes() == (base / "init" / name).read_bytes()
    rewrite(options.out, indent=2)
    again = starting_point(replace(options, resume=True), open_data(options.data), RunFolder(options.out))
    assert again.step == 1


OTHER: dict[str, Callable[[BytePairs], BytePairs]] = {
    "two ids exchanged": lambda pairs: BytePairs(pairs.ids | {"a": pairs.ids["b"], "b": pairs.ids["a"]}, pairs.merges),
    "the last merge lost": lambda pairs: BytePairs(pairs.ids, pairs.merges[:-1]),
    "two merges exchanged": lambda pairs: BytePairs(
        pairs.ids, [*pairs.merges[:-2], pairs.merges[-1], pairs.merges[-2]]
    ),
}


@pytest.mark.parametrize("change", OTHER)
def test_another_vocabulary_is_another(checkpoint: Path, tmp_path: Path, change: str) -> None:
    write_byte_pairs(OTHER[change](read_byte_pairs(checkpoint)), tmp_path)
    assert vocabulary_differs(checkpoint, tmp_path)


@given(
    st.dictionaries(st.text(min_size=1), st.integers(0, 2**31)),
    st.integers(0, 8),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_any_json_of_the_same_ids_is_read_the_same(
    tmp_path_factory: pytest.TempPathFactory, ids: dict[str, int], indent: int, sort: bool, escape: bool, mark: bool
) -> None:
    folder = tmp_path_factory.mktemp("vocabulary", numbered=True)
    try:
        text = json.dumps(ids, indent=indent or None, sort_keys=sort, ensure_ascii=escape).encode()
        (folder / "encoder.json").write_bytes(BOM * mark + text)
        (folder / "vocab.bpe").write_bytes(BOM * mark + b"#version: 0.2\na b\n")
        assert read_byte_pairs(folder) == BytePairs(ids, [("a", "b")])
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_merges_that_are_cut_off_at_a_line_end_are_refused(checkpoint: Path, tmp_path: Path, share: float) -> None:
    """All that is left can be read, and would split every text into other tokens than those that the model has learned."""
    pairs = read_byte_pairs(checkpoint)
    write_byte_pairs(BytePairs(pairs.ids, pairs.merges[: int(share * len(pairs.merges))]), tmp_path)
    with pytest.raises(CheckpointError, match=r"vocab\.bpe lacks the merges of \d+ tokens, such as .*: it is cut off"):
        Tokenizer.from_gpt2(tmp_path)
    with pytest.raises(Exception, match=r"vocab\.bpe lacks the merges of"):
        read_vocabulary(tmp_path, "")
