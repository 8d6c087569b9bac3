"""The notebook runs from its first cell to its last in Colab's kernel, on a tiny model, with a stand-in for Google's package."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import sysconfig
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from app.engine.checkpoint_folder import open_checkpoint
from finetune.run_progress import read_progress
from tests.conftest import ROOT, write_tiny

NOTEBOOK = ROOT / "notebooks/fine_tune.ipynb"
JOKES = "joke\n" + "".join(f"Duck {i} crossed road {i * 7}.\n" for i in range(60))
GOOGLE_COLAB = {
    "drive.py": """from pathlib import Path

def mount(folder):
    (Path(folder) / "MyDrive").mkdir(parents=True, exist_ok=True)
""",
    "files.py": f"""
def upload():
    print("uploading")
    return {{"my jokes.csv": {JOKES!r}.encode()}}

def download(path):
    print("downloaded", path)
""",
    "output.py": """import re
from urllib.request import urlopen

def serve_kernel_port_as_iframe(port, height):
    page = urlopen(f"http://localhost:{port}/").read().decode()
    print("in a frame:", re.search("<title>(.*?)</title>", page)[1])
""",
}


def read_notebook() -> nbformat.NotebookNode:
    notebook: nbformat.NotebookNode = nbformat.read(NOTEBOOK, as_version=4)
    return notebook


@pytest.fixture(scope="session")
def colabs_kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of Jupyter's with Colab's versions of IPython and its kernel, beside everything else that is installed here."""
    folder = tmp_path_factory.mktemp("colab")
    subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
    python = folder / "env/bin/python"
    locked = ("--no-deps", "--require-hashes", "--requirement", ROOT / "requirements/colab.txt")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *locked], check=True)
    (packages,) = (folder / "env/lib").glob("*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (folder / "kernels/colab").mkdir(parents=True)
    command = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": command, "display_name": "Colab", "language": "python"}
    (folder / "kernels/colab/kernel.json").write_text(json.dumps(spec))
    return folder


@pytest.fixture
def content(tmp_path: Path, colabs_kernel: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Colab's folder /content, with the project in it, a tiny model to start from, and Google's package."""
    project = tmp_path / "content/gpt-2-cloud-run"
    (project / "models").mkdir(parents=True)
    for name in ("app", "finetune", "requirements", "Dockerfile", "LICENSE"):
        (project / name).symlink_to(ROOT / name)
    write_tiny(project / "tiny")
    package = tmp_path / "packages/google/colab"
    package.mkdir(parents=True)
    for name, source in GOOGLE_COLAB.items():
        (package / name).write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    monkeypatch.setenv("JUPYTER_PATH", str(colabs_kernel))
    return tmp_path / "content"


def client(content: Path, **form: Any) -> NotebookClient:
    """The notebook with these fields of the form, in Colab's kernel."""
    notebook = read_notebook()
    for cell in notebook.cells:
        cell.source = cell.source.replace("/content", str(content))
        # The tests' packages come after Colab's.
        cell.source = cell.source.replace("] = str(PROJECT)", "] += f':{PROJECT}'")
    (parameters,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    parameters.source += "".join(f"\n{name} = {value!r}" for name, value in form.items())
    resources = {"metadata": {"path": str(content)}}
    return NotebookClient(notebook, timeout=300, kernel_name="colab", resources=resources)


def shown_by(notebook: nbformat.NotebookNode) -> str:
    return "".join(str(cell.get("outputs", "")) for cell in notebook.cells)


def run_all(content: Path, **form: Any) -> str:
    """Choose *Run all* with these fields of the form. Returns everything that is shown."""
    return shown_by(client(content, **form).execute())


@pytest.mark.slow
def test_run_all_makes_a_model_of_an_upload_and_goes_on_after_a_disconnect(content: Path) -> None:
    """The second time, as after a disconnect, only Drive is left."""
    form = {"MODEL": str(content / "gpt-2-cloud-run/tiny"), "DRIVE_FOLDER": "gpt-2"}
    home = content / "drive/MyDrive/gpt-2"
    shown = run_all(content, MINUTES=0.05, **form)
    for expected in (
        "There is no GPU here",
        "uploading",
        "in a frame: ",
        "perplexity",
        "downloaded",
        "gcloud run deploy",
    ):
        assert expected in shown
    with tarfile.open(home / "jokes.tar.gz") as archive:
        assert "jokes/manifest.json" in archive.getnames()
    first = open_checkpoint(home / "checkpoint/jokes").step
    assert first > 0
    shown = run_all(content, STEPS=first + 4, **form)
    assert "uploading" not in shown
    assert "downloaded" in shown
    assert open_checkpoint(home / "checkpoint/jokes").step == first + 4


def interrupt_when_it_trains(notebook: NotebookClient, run: Path) -> None:
    """Press *Interrupt execution*, as Jupyter does it, as soon as a step is done."""
    for _ in range(3000):
        progress = read_progress(run)
        if progress is not None and progress.step > 0:
            assert notebook.km is not None
            signalled = notebook.km.interrupt_kernel()
            assert signalled is not None
            asyncio.run(signalled)
            return
        time.sleep(0.1)


@pytest.mark.slow
def test_an_interrupt_loses_nothing_and_the_cells_below_use_what_is_saved(content: Path) -> None:
    """In Colab an interrupt once lost everything since the last save, and nothing was shown until the end of the cell."""
    home = content / "gpt-2-cloud-run"
    notebook = client(content, MODEL=str(home / "tiny"), MINUTES=1000, TEXT=str(content / "jokes.csv"))
    (content / "jokes.csv").write_text(JOKES)
    run = home / "checkpoint/jokes"
    training = next(number for number, cell in enumerate(notebook.nb.cells) if 'run_verb("new"' in cell.source)
    with notebook.setup_kernel():
        for number, cell in enumerate(notebook.nb.cells[:training]):
            notebook.execute_cell(cell, number)
        # Without a GPU it would be a trial.
        notebook.nb.cells[training].source = "LIMIT = MINUTES\n" + notebook.nb.cells[training].source
        presses = threading.Thread(target=interrupt_when_it_trains, args=(notebook, run))
        presses.start()
        with pytest.raises(CellExecutionError, match="To go on, run this cell again"):
            notebook.execute_cell(notebook.nb.cells[training], training)
        presses.join()
        assert re.search(r"2/4 train: +\d+%", str(notebook.nb.cells[training].outputs)), "the bar was not shown"
        assert open_checkpoint(run).step > 0
        for number, cell in enumerate(notebook.nb.cells[training + 1 :], training + 1):
            notebook.execute_cell(cell, number)
    assert (home / "models/jokes/manifest.json").is_file()


ON_GITHUB = "https%3A%2F%2Fgithub.com%2FOWNER%2Fa.fork%2Fblob%2Fmain%2Fnotebooks%2Ffine_tune.ipynb"
SESSIONS = [
    (f'[{{"path": "fileId={ON_GITHUB}"}}]', "OWNER/a.fork"),
    ('[{"path": "fileId=1JpGbn3IlO9", "name": "fine_tune.ipynb"}]', None),
    ("[]", None),
]


@pytest.mark.parametrize(("sessions", "found"), SESSIONS, ids=["from GitHub", "from Drive", "from nowhere"])
def test_the_project_is_the_one_from_which_the_notebook_was_opened(
    sessions: str, found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address was a placeholder once, with which the first cell failed."""

    class Sessions(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = sessions.encode() if self.path == "/api/sessions" else b""
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    (cell,) = (cell for cell in read_notebook().cells if "api/sessions" in cell.source and cell.cell_type == "code")
    with ThreadingHTTPServer(("127.0.0.1", 0), Sessions) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        monkeypatch.setenv("COLAB_JUPYTER_IP", "127.0.0.1")
        monkeypatch.setenv("KMP_TARGET_PORT", str(server.server_port))
        names = {"REPOSITORY": ""}
        exec(cell.source, names)
        server.shutdown()
    assert names["REPOSITORY"] == (f"https://github.com/{found}" if found else "")


@pytest.mark.slow
def test_the_project_is_fetched_once(content: Path, tmp_path: Path) -> None:
    """It was cloned again on the second run, which failed, or into itself."""
    source = tmp_path / "source"
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    for command in (
        ("init", "--quiet", source),
        ("-C", source, *identity, "commit", "--quiet", "--allow-empty", "-m", "One"),
    ):
        subprocess.run(["git", *command], check=True)
    (content / "gpt-2-cloud-run").rename(content / "elsewhere")
    notebook = client(content, REPOSITORY=str(source))
    fetching = next(number for number, cell in enumerate(notebook.nb.cells) if "git clone" in cell.source)
    with notebook.setup_kernel():
        for number, cell in [*enumerate(notebook.nb.cells[: fetching + 1])] * 2:
            notebook.execute_cell(cell, number)
        assert not notebook.nb.cells[fetching].outputs
    assert (content / "gpt-2-cloud-run/.git").is_dir()
    assert not (content / "gpt-2-cloud-run/gpt-2-cloud-run").exists()


def test_it_holds_no_outputs_and_no_logic() -> None:
    notebook = read_notebook()
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        if cell.cell_type == "code":
            assert "def " not in cell.source
            assert "\nfor " not in cell.source
            assert len(cell.source.splitlines()) <= 12, cell.source


def test_every_cell_is_explained() -> None:
    for before, cell in pairwise(read_notebook().cells):
        if cell.cell_type == "code":
            assert before.cell_type == "markdown", cell.source
            assert before.source.rstrip().endswith("."), before.source


def test_it_installs_nothing_by_name() -> None:
    """Another TensorFlow or JAX would replace Colab's own, which fits its GPU."""
    for cell in read_notebook().cells:
        assert cell.cell_type != "code" or "pip" not in cell.source
