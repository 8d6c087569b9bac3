"""The house: the README tells the truth, the app never meets TensorFlow, the parts import only what they may."""

from __future__ import annotations

import ast
import dataclasses
import os
import re
import signal
import subprocess
import sys
import tomllib
from inspect import signature
from pathlib import Path

import httpx
import pytest

import app
from app.settings import meanings, read_settings
from finetune.__main__ import VERBS
from finetune.commands.fetch import OTHERS
from finetune.fetch.cleaning import NAMES
from finetune.fetch.query import query_names
from finetune.training.options import TrainingOptions
from tests.conftest import ROOT, process, run_module

README = (ROOT / "README.md").read_text(encoding="utf-8")


def tracked() -> list[Path]:
    """Every file of the repository, and what git does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [Path(line) for line in listing.splitlines() if (ROOT / line).exists()]


def tree() -> list[str]:
    """The paths of the README's captioned tree, folders with their slash."""
    block = re.search(r"```tree\n(.+?)```", README, re.DOTALL)
    assert block
    paths: list[str] = []
    stack: list[str] = []
    for line in block[1].splitlines():
        indent, name = re.match(r"( *)(\S+)", line).groups()  # type: ignore[union-attr]
        stack[len(indent) // 2 :] = [name]
        paths.append("".join(stack))
    return paths


def test_the_readmes_tree_is_the_disk() -> None:
    """Every file is in the tree or in a folder that the tree captions as a whole, and nothing else is there."""
    listed = tree()
    files = {str(path) for path in tracked()}
    for path in listed:
        assert path in files or any(file.startswith(path) for file in files), (
            f"{path} is in the README's tree, not on disk"
        )
    whole = [
        path for path in listed if path.endswith("/") and not any(p != path and p.startswith(path) for p in listed)
    ]
    for file in files:
        assert file in listed or file.startswith(tuple(whole)), f"{file} is on disk and not in the README's tree"


def test_the_readme_names_every_setting_with_its_default() -> None:
    defaults = read_settings({})
    for name in meanings():
        assert f"| `{name}` | `{getattr(defaults, name.lower())}` |" in README


def test_the_readme_names_every_route_and_verb() -> None:
    application = (ROOT / "app/application.py").read_text()
    routes = {re.sub(r"/{.+}", "", path) for path in re.findall(r'Route\("(/[^"]*)"', application)}
    assert {"/", "/generate", "/v1/chat/completions", "/health", "/version"} <= routes
    for name in [*(f"`{route}`" for route in routes), *(f"`{verb}`" for verb in VERBS)]:
        assert name in README


@pytest.mark.parametrize("verb", ["fetch", "prepare", "train"])
def test_the_readme_names_every_option(verb: str) -> None:
    options = (
        {field.name for field in dataclasses.fields(TrainingOptions)}
        if verb == "train"
        else set(signature(VERBS[verb]).parameters)
    )
    for option in options - {"inputs", "query"}:
        assert f"--{option}" in README


def test_the_readme_names_every_query_source_and_guardrail() -> None:
    for name in (*query_names(), *OTHERS, "ratings", *NAMES):
        assert f"`{name}`" in README


def test_every_make_target_in_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"(?:`|\$ )make (\w+)", README))
    assert {"serve", "test"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_every_direct_dependency_has_a_line_in_the_readme() -> None:
    for name in ("container", "training", "tests", "browser"):
        lines = (ROOT / f"requirements/{name}.in").read_text().splitlines()
        for line in lines:
            if line and line[0] not in "#-":
                package = re.escape(re.split(r"[=[]", line)[0])
                assert re.search(rf"^\| ([\w-]+, )*{package}(, [\w-]+)* \|", README, re.MULTILINE)


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
