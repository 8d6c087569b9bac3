"""What contributors work with: make's targets, pre-commit, the devcontainer and GitHub's forms name what exists."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PHONY = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[0].split()
HOOKS: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
INSTALLED = Path(sys.executable).parent


def make(*arguments: str, folder: Path = ROOT) -> str:
    return subprocess.run(
        ["make", "--no-print-directory", *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


def planned(*targets: str) -> str:
    """The commands that make would run for these targets if everything were installed."""
    return make("--dry-run", *(f"--old-file=.venv/{name}" for name in ("tests", "browser")), *targets)


def test_make_help_lists_every_target_with_what_it_does() -> None:
    lines = make("help").splitlines()
    assert [line.split()[0] for line in lines] == sorted(PHONY, key=lambda name: MAKEFILE.index(f"\n{name}:"))
    assert all(len(line.split()) > 2 for line in lines)


def test_everything_is_checked_and_only_the_slow_tests_are_left_out() -> None:
    quick, everything = planned("test"), planned("test-all")
    for command in ("ruff format --check .", "ruff check .", "mypy"):
        assert command in quick
        assert command in everything
    assert "not slow" in quick
    assert "not slow" not in everything
    assert "--cov" in everything
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert {"app", "finetune", "benchmarks", "docs", "tests"} <= set(settings["mypy"]["packages"])
    assert settings["coverage"]["report"]["fail_under"] >= 97
    assert settings["coverage"]["run"]["branch"]


def test_continuous_integration_leaves_no_test_out() -> None:
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert script.splitlines()[-3:] == ["make test-all", "make browser", "make clients"]


@pytest.mark.parametrize("uv", [True, False], ids=["uv", "no uv"])
def test_packages_are_installed_with_their_hashes_and_marked_only_when_they_are(tmp_path: Path, uv: bool) -> None:
    """With uv, or with pip if uv cannot be installed."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("uv", "container"):
        (tmp_path / "requirements").mkdir(exist_ok=True)
        (tmp_path / f"requirements/{name}.txt").touch()
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/pyvenv.cfg").touch()
    write_program(
        tmp_path / ".venv/bin/python", '! test -e broken && { test -e .venv/bin/uv || ! [[ "$*" == *uv.txt ]]; }'
    )
    if uv:
        write_program(tmp_path / ".venv/bin/uv", "! test -e broken")
    (tmp_path / "broken").touch()
    with pytest.raises(subprocess.CalledProcessError):
        make(".venv/container", folder=tmp_path)
    assert not (tmp_path / ".venv/container").exists()
    (tmp_path / "broken").unlink()
    (tmp_path / "calls").unlink()
    make(".venv/container", folder=tmp_path)
    assert (tmp_path / ".venv/container").exists()
    *_, last = (tmp_path / "calls").read_text().splitlines()
    assert last.startswith("uv pip install" if uv else "python -m pip install")
    assert last.endswith("--no-deps --require-hashes --requirement requirements/container.txt")


def test_what_has_the_command_lines_packages_gets_the_command(tmp_path: Path) -> None:
    """`make serve` installs what the container has, which is not enough for `gpt2`."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements").mkdir()
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/pyvenv.cfg").touch()
    write_program(tmp_path / ".venv/bin/python", "true")
    write_program(tmp_path / ".venv/bin/uv", "true")
    for name in ("uv", "container", "light", "training"):
        (tmp_path / f"requirements/{name}.txt").touch()
    for name in ("container", "light", "training"):
        make(f".venv/{name}", folder=tmp_path)
        calls = (tmp_path / "calls").read_text()
        assert ("--editable ." in calls) == (name != "container"), name


def write_program(path: Path, outcome: str) -> None:
    """A program that records its arguments and then has the exit status of the shell command `outcome`."""
    path.write_text(f'#!/usr/bin/env bash\necho {path.name} "$@" >> calls\n{outcome}\n')
    path.chmod(0o755)


def test_the_hooks_are_the_projects_own_tools() -> None:
    """Nothing is fetched from elsewhere, so a hook has the same version as `make test`."""
    assert [hook["language"] for hook in HOOKS] == ["system"] * len(HOOKS)
    for hook in HOOKS:
        program, *arguments = shlex.split(hook["entry"])
        assert program.startswith(".venv/bin/")
        assert (INSTALLED / Path(program).name).is_file(), program
        if "-m" in arguments:
            assert (ROOT / f"{arguments[1].replace('.', '/')}.py").is_file()


def test_the_hooks_are_understood_by_pre_commit() -> None:
    command = [str(INSTALLED / "pre-commit"), "validate-config", ".pre-commit-config.yaml"]
    subprocess.run(command, check=True, cwd=ROOT)


def test_the_devcontainer_has_the_containers_python_and_sets_itself_up() -> None:
    devcontainer = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
    assert ":3.11" in devcontainer["image"]
    program, target = devcontainer["postCreateCommand"].split()
    assert program == "make"
    assert (ROOT / f"requirements/{target.removeprefix('.venv/')}.in").is_file()
    assert devcontainer["forwardPorts"] == [8080]


@pytest.mark.parametrize("path", sorted((ROOT / ".github/ISSUE_TEMPLATE").iterdir()), ids=lambda path: path.name)
def test_an_issue_form_asks_what_github_can_show(path: Path) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert form["name"]
    assert form["description"]
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert {field["type"] for field in fields} <= {"input", "textarea", "dropdown", "checkboxes"}
    assert len({field["id"] for field in fields}) == len(fields)
    assert all(field["attributes"]["label"] for field in fields)
    assert any(field.get("validations", {}).get("required") for field in fields)


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md", ".github/pull_request_template.md"])
def test_what_contributors_are_told_exists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    for target in re.findall(r"`make ([\w.-]+)", text):
        assert target in PHONY, f"{name} names make {target}"
    for path in re.findall(r"`((?:app|finetune|tests|docs|requirements|bq_queries|models)/[a-z_./]*)`", text):
        assert (ROOT / path).exists(), f"{name} names {path}"
    for path in re.findall(r"\]\(([^):]+)\)", text):
        assert (ROOT / path).exists(), f"{name} links to {path}"
