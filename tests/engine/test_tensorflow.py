"""gpt-2-simple itself as an engine: it serves, and refuses a damaged checkpoint in one sentence."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx
import numpy as np
import pytest

from app.engine.tensorflow import TensorflowEngine
from app.errors import CheckpointError
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
