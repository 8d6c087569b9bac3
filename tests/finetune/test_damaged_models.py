"""Whatever happens to a model's files, it is refused in one sentence or it computes what it always did."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from app.engine.bundle import open_bundle
from app.engine.checkpoint_folder import open_checkpoint
from app.engine.onnx import OnnxEngine
from app.engine.tokenizer import Tokenizer
from app.errors import FatalError
from finetune.checkpoint import newest_whole, read_weights
from finetune.commands.export import export
from finetune.commands.import_ import import_
from finetune.export.parity import read
from tests.conftest import TEXTS
from tests.damage import DAMAGES, become_another, delete, flip


class Loaded:
    """What a model computes with. It is no dataclass, since hypothesis would print every weight."""

    def __init__(self, weights: dict[str, np.ndarray], tokenizer: Tokenizer) -> None:
        self.weights = weights
        self.tokenizer = tokenizer


def read_run(folder: Path) -> Loaded:
    """As --init reads it."""
    source, weights = newest_whole(folder)
    return Loaded(weights, source.tokenizer)


def read_imported(folder: Path) -> Loaded:
    import_(str(folder), out=folder.parent / "out")
    source = open_checkpoint(folder.parent / "out")
    return Loaded(read_weights(source), source.tokenizer)


def read_served(folder: Path) -> Loaded:
    engine = OnnxEngine(open_bundle(folder), threads=1)
    return Loaded({"logits": read(engine.slots(1, 3), [1, 2, 3])}, engine.tokenizer)


READERS = {"run": read_run, "theirs": read_imported, "bundle": read_served}


@pytest.fixture(scope="module")
def models(checkpoint: Path, bundles: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    export(checkpoint, folder / "theirs", format="huggingface")
    return {"run": checkpoint, "theirs": folder / "theirs", "bundle": bundles[32]}


@pytest.fixture(scope="module")
def whole(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Loaded]:
    """What each computes when nothing has happened to it."""
    found = {}
    for kind, folder in models.items():
        copy = Path(shutil.copytree(folder, tmp_path_factory.mktemp(kind) / kind))
        found[kind] = READERS[kind](copy)
    return found


@st.composite
def accidents(draw: st.DrawFn) -> tuple[str, list[tuple[int, Callable[[Path], None]]]]:
    """A kind of model, and one or two of its files, by number, with what happens to them."""
    files = st.tuples(st.integers(0, 9), st.sampled_from(DAMAGES))
    return draw(st.sampled_from(sorted(READERS))), draw(st.lists(files, min_size=1, max_size=2))


@given(accidents())
def test_one_sentence_or_the_same_model(
    models: dict[str, Path],
    whole: dict[str, Loaded],
    tmp_path_factory: pytest.TempPathFactory,
    accident: tuple[str, list[tuple[int, Callable[[Path], None]]]],
) -> None:
    kind, damages = accident
    place = tmp_path_factory.mktemp("damaged")
    folder = Path(shutil.copytree(models[kind], place / kind))
    files = sorted(folder.iterdir())
    for number, damage in damages:
        if (path := files[number % len(files)]).is_file():
            damage(path)
    undetectable = (flip,) if kind == "theirs" else ()  # Hugging Face's weights have no checksums.
    try:
        loaded = READERS[kind](folder)
    except FatalError as error:
        sentence = str(error)
    else:
        sentence = ""
        assert loaded.tokenizer.encode(TEXTS[0]) == whole[kind].tokenizer.encode(TEXTS[0])
        if not any(damage in undetectable for _, damage in damages):
            assert all(np.array_equal(w, whole[kind].weights[name]) for name, w in loaded.weights.items())
    assert not sentence or re.fullmatch(r"[^\n]+\.", sentence)
    assert sentence or not any(damage in {delete, become_another} and is_vital(files, n) for n, damage in damages)
    assert {path.name for path in place.iterdir()} <= {kind, "out"}
    shutil.rmtree(place)


def is_vital(files: list[Path], number: int) -> bool:
    """Whether no model can be without this file."""
    return files[number % len(files)].name in {"model.safetensors", "config.json", "hparams.json", "model.onnx.data"}
