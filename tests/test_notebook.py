"""The notebook for Colab runs from its first cell to its last, on a tiny model: only its set-up and its download are left out."""

from __future__ import annotations

import os
import sys
import tarfile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT, write_tiny

NOTEBOOK = ROOT / "notebooks/fine_tune.ipynb"
LEFT_OUT = {"setup", "colab"}


def cells(notebook: nbformat.NotebookNode, *tags: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if set(tags) & set(cell.metadata.get("tags", []))]


@pytest.mark.slow
def test_it_runs_from_text_to_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny(tmp_path / "tiny")
    (tmp_path / "jokes.csv").write_text("joke\n" + "".join(f"Duck {i} crossed road {i * 7}.\n" for i in range(60)))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell not in cells(notebook, *LEFT_OUT)]
    (parameters,) = cells(notebook, "parameters")
    parameters.source += '\nos.environ |= {"MODEL": "tiny", "STEPS": "10", "BATCH_SIZE": "2", "PRECISION": "float32"}'
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    with tarfile.open(tmp_path / "jokes.tar.gz") as archive:
        assert "jokes/manifest.json" in archive.getnames()
    shown = "".join(str(cell.get("outputs", "")) for cell in notebook.cells)
    assert "image/png" in shown
    assert "perplexity" in shown


def test_it_holds_no_outputs_and_no_logic() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert "def " not in cell.source
        assert "for " not in cell.source or cell.cell_type == "markdown" or cell in cells(notebook, "parameters")
