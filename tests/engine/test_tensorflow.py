"""gpt-2-simple itself as an engine: it serves, and refuses a damaged checkpoint in one sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import httpx
import numpy as np
import pytest

from app.engine.checkpoint_folder import open_checkpoint
from app.engine.tensorflow import TensorflowEngine
from app.errors import CheckpointError
from finetune.checkpoint import read_weights
from finetune.export.parity import logits_step_by_step
from tests.conftest import process


@pytest.mark.slow
def test_it_serves(checkpoint: Path) -> None:
    with process(ENGINE="tensorflow", MODEL=str(checkpoint)) as (_, url):
        reply = httpx.post(url, json={"length": 8, "nsamples": 2, "prefix": "Why"}, timeout=60).json()
        assert reply["model"] == "run1"
        assert len(reply["texts"]) == 2
        assert httpx.get(f"{url}/version").json()["engine"] == "tensorflow"


def test_a_truncated_save_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(checkpoint, tmp_path / "run1"))
    data = copy / "model-7.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="model-7 is damaged"):
        TensorflowEngine(copy)


def test_its_graph_does_not_grow(reference: TensorflowEngine, tokens: np.ndarray) -> None:
    """gpt-2-simple's generate() adds nodes to its graph at each call and leaks memory."""
    before = len(reference.session.graph.get_operations())
    logits_step_by_step(reference, tokens[:8])
    assert len(reference.session.graph.get_operations()) == before


@pytest.mark.parametrize("changes", [{"n_ctx": 65}, {"n_layer": 2}, {"n_vocab": 300, "n_layer": 4}])
def test_hparams_of_another_model_are_refused(checkpoint: Path, tmp_path: Path, changes: dict[str, int]) -> None:
    """TensorFlow restores weights of other shapes without a word, and leaves out layers that the graph lacks."""
    copy = Path(shutil.copytree(checkpoint, tmp_path / "run1"))
    hparams = json.loads((copy / "hparams.json").read_text(encoding="utf-8"))
    (copy / "hparams.json").write_text(json.dumps(hparams | changes), encoding="utf-8")
    with pytest.raises(
        CheckpointError, match=r"model-7 is damaged, or hparams\.json is of another model: copy the whole"
    ):
        TensorflowEngine(copy)


def test_layers_that_hparams_lack_are_not_left_out(checkpoint: Path, tmp_path: Path) -> None:
    """`export` wrote a bundle of the first layers only."""
    copy = Path(shutil.copytree(checkpoint, tmp_path / "run1"))
    hparams = json.loads((copy / "hparams.json").read_text(encoding="utf-8"))
    (copy / "hparams.json").write_text(json.dumps(hparams | {"n_layer": 2}), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"model-7 has more layers than the 2 of hparams\.json: "):
        read_weights(open_checkpoint(copy))
