"""The notebook for Colab runs from its first cell to its last, on a tiny model, with a stand-in for Google's package."""

from __future__ import annotations

import os
import sys
import tarfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from app.engine.checkpoint_folder import open_checkpoint
from tests.conftest import ROOT, write_tiny

NOTEBOOK = ROOT / "notebooks/fine_tune.ipynb"
JOKES = "joke\n" + "".join(f"Duck {i} crossed road {i * 7}.\n" for i in range(60))
GOOGLE_COLAB = {
    "drive.py": """from pathlib import Path

def mount(folder):
    (Path(folder) / "MyDrive").mkdir(parents=True, exist_ok=True)
""",
    "files.py": f"""from pathlib import Path

def upload():
    Path("my jokes.csv").write_text({JOKES!r})
    return {{"my jokes.csv": b""}}

def download(path):
    print("downloaded", path)
""",
}


def read_notebook() -> nbformat.NotebookNode:
    notebook: nbformat.NotebookNode = nbformat.read(NOTEBOOK, as_version=4)
    return notebook


@pytest.fixture
def content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Colab's folder /content, with the project in it, a tiny model to start from, and Google's package."""
    project = tmp_path / "content/gpt-2-cloud-run"
    (project / "models").mkdir(parents=True)
    for name in ("app", "finetune", "requirements"):
        (project / name).symlink_to(ROOT / name)
    write_tiny(project / "tiny")
    package = tmp_path / "packages/google/colab"
    package.mkdir(parents=True)
    for name, source in GOOGLE_COLAB.items():
        (package / name).write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    return tmp_path / "content"


def run_all(content: Path, **form: Any) -> str:
    """Choose *Run all* with these fields of the form. Returns everything that is shown."""
    notebook = read_notebook()
    for cell in notebook.cells:
        cell.source = cell.source.replace("/content", str(content))
    (parameters,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    parameters.source += "".join(f"\n{name} = {value!r}" for name, value in form.items())
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(content)}}).execute()
    return "".join(str(cell.get("outputs", "")) for cell in notebook.cells)


@pytest.mark.slow
def test_it_runs_from_an_upload_to_a_bundle_and_goes_on_after_a_disconnect(content: Path) -> None:
    """The second time, as after a disconnect, the text is gone from the machine and the run is in Drive."""
    form = {"MODEL": "tiny", "DRIVE_FOLDER": "gpt-2", "TRIAL_WITHOUT_GPU": True}
    kept = content / "drive/MyDrive/gpt-2"
    shown = run_all(content, STEPS=10, **form)
    for expected in ("image/png", "======== step 10 ========", "perplexity", "downloaded", "_MODEL=jokes"):
        assert expected in shown
    with tarfile.open(content / "gpt-2-cloud-run/jokes.tar.gz") as archive:
        assert "jokes/manifest.json" in archive.getnames()
    assert open_checkpoint(kept / "checkpoint/jokes").step == 10
    (content / "gpt-2-cloud-run/my jokes.csv").unlink()
    shown = run_all(content, STEPS=14, **form)
    assert "is prepared already" in shown
    assert "is resumed" in shown
    assert "step 10" not in shown
    assert open_checkpoint(kept / "checkpoint/jokes").step == 14


def test_it_holds_no_outputs_and_no_logic() -> None:
    notebook = read_notebook()
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        if cell.cell_type == "code":
            assert "def " not in cell.source
            assert "\nfor " not in cell.source
            assert len(cell.source.splitlines()) <= 12


def test_every_cell_is_explained() -> None:
    for before, cell in pairwise(read_notebook().cells):
        if cell.cell_type == "code":
            assert before.cell_type == "markdown", cell.source
            assert before.source.rstrip().endswith("."), before.source


def test_it_installs_nothing_by_name() -> None:
    """Another TensorFlow or JAX would replace Colab's own, which fits its GPU."""
    for cell in read_notebook().cells:
        assert cell.cell_type != "code" or "pip" not in cell.source
