"""The package: what `pip install .` brings, and the command that it installs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import process

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True)
    (path,) = folder.glob("*.whl")
    return path


def files_of(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_has_what_the_command_needs(wheel: Path) -> None:
    """A page, a template or a query that is no Python file is easily left out of a package."""
    files = files_of(wheel)
    tracked = subprocess.run(
        ["git", "ls-files", "app", "finetune", "bq_queries"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    needed = {name for name in tracked if name and not name.startswith("app/web/screenshots/")}
    assert not needed - files
    assert {
        "gpt2_project/Dockerfile",
        "gpt2_project/requirements/container.txt",
        "gpt2_project/models/starter/manifest.json",
    } <= files


def test_the_wheel_has_nothing_else(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in files_of(wheel)}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"app", "finetune", "bq_queries", "gpt2_project"}
    assert not [name for name in files_of(wheel) if "screenshots" in name or "__pycache__" in name]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what pip would unpack."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def gpt2(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What the installed command does in a folder."""
    code = "import sys; from finetune.__main__ import main; sys.exit(main())"
    environ = os.environ | {"PYTHONPATH": str(installed), "PATH": "/nowhere", "FEEDBACK": ""}
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)


def test_the_installed_command_works_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    (entry,) = installed.glob("*.dist-info/entry_points.txt")
    assert "gpt2 = finetune.__main__:main" in entry.read_text()
    assert "From text to model" in gpt2(installed, tmp_path, "--help").stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_without_a_model_the_packaged_starter_is_meant(installed: Path, tmp_path: Path) -> None:
    """`deploy` said that there was no bundle in models/starter, a folder that only a clone has."""
    starter = installed / "gpt2_project/models/starter"
    assert re.search(rf"\* +{starter} +bundle", gpt2(installed, tmp_path, "list").stdout)
    assert f"starter in {starter}" in gpt2(installed, tmp_path, "doctor").stdout
    planned = gpt2(installed, tmp_path, "deploy", "--dry-run").stdout
    assert f"# model    starter ({starter})" in planned
    assert "this is the packaged starter" in planned
    assert gpt2(installed, tmp_path, "sample", "starter", "--length", "2").returncode == 0
    assert "is not right in checkpoint or models" in gpt2(installed, tmp_path, "rm", "starter", "--yes").stderr
    assert (starter / "manifest.json").exists()
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_packaged_starter_is_served(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = "import sys; from finetune.__main__ import main; sys.exit(main())"
    with process("-c", code, "serve", PYTHONPATH=str(installed), FEEDBACK="") as (child, _):
        child.terminate()
        printed = child.communicate(timeout=20)[0]
    assert "this is the packaged starter" in printed


def required(name: str) -> set[str]:
    """The packages of requirements/NAME.in."""
    lines = (ROOT / f"requirements/{name}.in").read_text(encoding="utf-8").splitlines()
    return {line.split()[0] for line in lines if line and line[0] not in "#-"}


def plain(requirement: str) -> str:
    return re.split(r"[\[=<>]", requirement)[0]


def test_the_package_requires_what_the_locked_files_require() -> None:
    """Two lists of one thing: pip reads pyproject.toml, and the container and `make` read the locked files."""
    base, train = set(PROJECT["dependencies"]), set(PROJECT["optional-dependencies"]["train"])
    assert base == required("container") | required("light")
    assert base | train == base | required("training")
    assert set(PROJECT["optional-dependencies"]["traces"]) == required("telemetry")
    assert not {plain(each) for each in base} & {plain(each) for each in train} - {"google-cloud-bigquery"}
