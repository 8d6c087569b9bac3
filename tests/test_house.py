"""The house: the app never meets TensorFlow, the parts import only what they may."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx
import pytest

import app
from tests.conftest import ROOT, process, run_module


def tracked() -> list[Path]:
    """Every file of the repository, and what git does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [Path(line) for line in listing.splitlines() if (ROOT / line).exists()]


def test_one_version() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == app.__version__


def test_requirements_are_hashed_and_name_no_address() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text()
        assert "http" not in re.sub(r"\bhttp(core|x|lib)\w*", "", text)
        assert "index" not in text
        for block in re.findall(r"^[a-z].+?==(?:.|\n)+?(?=\n[a-z#]|\Z)", text, re.MULTILINE):
            assert "--hash=sha256:" in block


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("path", [str(path) for path in tracked() if path.suffix == ".py"])
def test_the_parts_import_only_what_they_may(path: str) -> None:
    names = imports(ROOT / path)
    if path.startswith("app/"):
        forbidden: tuple[str, ...] = ("finetune", "keras", "onnx.", "tests", "benchmarks")
        if path != "app/engine/tensorflow.py":
            forbidden = (*forbidden, "tensorflow", "gpt_2_simple")
        assert not {name for name in names if f"{name}.".startswith(tuple(f"{f.rstrip('.')}." for f in forbidden))}
    if path.startswith("app/engine/"):
        assert not {name for name in names if name.startswith(("app.api", "app.bot", "starlette"))}
    if path.startswith("finetune/"):
        own = {name for name in names if name.startswith("app.")}
        assert not {name for name in own if not name.startswith(("app.engine", "app.errors"))}


REPORT = """
import atexit, runpy, sys
atexit.register(lambda: print("modules:", *sorted({name.split(".")[0] for name in sys.modules}), flush=True))
runpy.run_module("app", run_name="__main__")
"""


def test_the_serving_process_never_imports_tensorflow(bundles: dict[int, Path]) -> None:
    """After real requests, streamed and not, the process is asked for all that it has imported."""
    with process("-c", REPORT, MODEL=str(bundles[8])) as (child, url):
        assert httpx.get(f"{url}/?length=5&nsamples=2&top_p=0.9").status_code == 200
        assert httpx.get(f"{url}/?length=5&stream=true").status_code == 200
        assert httpx.get(f"{url}/?length=0").status_code == 400
        child.send_signal(signal.SIGTERM)
        printed = child.communicate(timeout=20)[0]
    modules = set(printed.split("modules:")[1].split())
    assert {"app", "onnxruntime", "starlette"} <= modules
    heavy = {
        "tensorflow",
        "keras",
        "gpt_2_simple",
        "onnx",
        "torch",
        "finetune",
        "jsonargparse",
        "huggingface_hub",
        "httpx",
        "telegram",
    }
    assert not modules & heavy


def test_nobody_is_told_what_is_served(bundles: dict[int, Path], tmp_path: Path) -> None:
    """ONNX Runtime 1.29 began to write an identifier to the disk and to send what it loads to Microsoft."""
    environ = {name: value for name, value in os.environ.items() if name != "CI"}  # Which would keep it quiet, too.
    code = f"from pathlib import Path; import app.engine.onnx as o; o.load_bundle(Path({str(bundles[8])!r}), 1)"
    command = [sys.executable, "-c", code]
    ended = subprocess.run(
        command, cwd=ROOT, env=environ | {"HOME": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert (ended.stdout, ended.stderr) == ("", "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "abc"), ("PORT", "0"), ("PORT", ""), ("ENGINE", "gpu"), ("THREADS", "-1"), ("REQUEST_TIMEOUT", "nan"),
        ("MAX_LENGTH", "0"), ("QUEUE_LIMIT", "1.5"), ("LOG_LEVEL", "loud"), ("CONCURRENCY", "none"), ("MODEL", ""),
        ("FEEDBACK", "feedback.db"), ("FEEDBACK", "bigquery://project"),
    ],
)  # fmt: skip
def test_a_wrong_setting_stops_the_start_with_one_line(name: str, value: str) -> None:
    ended = run_module("app", **{"ENGINE": "fake", name: value})
    assert (ended.returncode, ended.stdout) == (2, "")
    assert re.fullmatch(rf"error: {name} is '{re.escape(value)}', and should be [^\n]+\.\n", ended.stderr)
