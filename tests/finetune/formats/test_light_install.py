"""What serves, chats, deploys and imports bundles runs where nothing that trains is installed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from finetune.__main__ import main
from finetune.command_line import VERBS
from finetune.missing_package import missing_package
from tests.conftest import ROOT

TRAINING_VERBS = {"new", "prepare", "train", "evaluate", "compare", "export", "fetch", "download", "report", "starter"}
"""The verbs that may need what trains. All others do without."""
BLOCKED = {"tensorflow", "keras", "gpt_2_simple", "jax", "gguf", "matplotlib", "tensorboard", "duckdb", "praw", "pyarrow"} | {
    "farmhash", "sqlglot", "zstandard", "statsmodels", "pandas", "scipy", "jinja2",
}  # fmt: skip
WITHOUT = """
import sys

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refusal())
from finetune.__main__ import main
for arguments in COMMANDS:
    if code := main(arguments):
        sys.exit(f"{arguments} ended with {code}")
"""


def run_light(*commands: list[str], inside: Path) -> subprocess.CompletedProcess[str]:
    """Run verbs, one after the other, in a process that finds nothing of what trains."""
    code = WITHOUT.replace("BLOCKED", repr(BLOCKED)).replace("COMMANDS", repr(list(commands)))
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=inside,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(inside)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_hugging_face_folder_is_imported_listed_and_writes(folder: Path, tmp_path: Path) -> None:
    done = run_light(
        ["import", str(folder), "--bundle", "--out", "models/tiny"],
        ["list"],
        ["sample", "--checkpoint", "models/tiny", "--length", "5"],
        *([verb, "--help"] for verb in VERBS if verb not in TRAINING_VERBS),
        inside=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "models/tiny: 3 layers, 32 wide, 300 tokens" in done.stdout


@pytest.mark.slow
def test_a_fresh_install_of_the_light_requirements_imports_and_talks(folder: Path, tmp_path: Path) -> None:
    """With nothing else on the disk, and in less than 400 MB; with what trains it is 3 GB."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    (packages,) = (tmp_path / "env/lib").glob("*/site-packages")
    locked = ("--no-deps", "--require-hashes", "--requirement", str(ROOT / "requirements/light.txt"))
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--target",
        str(packages),
    ]
    subprocess.run([*install, *locked], check=True)
    assert sum(path.lstat().st_size for path in packages.rglob("*")) < 400e6

    def gpt2(*arguments: str) -> str:
        return subprocess.run(
            [tmp_path / "env/bin/python", "-m", "finetune", *arguments],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
            input="a duck\n",
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    gpt2("import", str(folder), "--bundle", "--out", "models/tiny")
    assert gpt2("chat")
    assert "models/tiny" in gpt2("list")


@pytest.mark.parametrize(
    ("command", "package"), [(["import", "FOLDER", "--out", "x"], "tensorflow"), (["train", "--help"], "")]
)
def test_what_trains_is_refused_with_the_way_to_install_it(
    folder: Path, tmp_path: Path, command: list[str], package: str
) -> None:
    """It was a traceback of twenty lines."""
    done = run_light([word.replace("FOLDER", str(folder)) for word in command], inside=tmp_path)
    assert done.returncode == 1
    sentence = (
        rf"error: this needs {package}\w*, which is not installed here: `pip install '\.\[train\]'` in .* trains\."
    )
    assert re.search(rf"^{sentence}$", done.stderr, re.MULTILINE), done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_needs_tensorflow_and_a_bundle_does_not(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    assert main(["import", str(folder), "--out", str(tmp_path / "out")]) == 2
    assert (
        capsys.readouterr().err.splitlines()[-1].startswith("error: this needs tensorflow, which is not installed here")
    )
    assert main(["import", str(folder), "--bundle", "--out", str(tmp_path / "out")]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_import_of_ours_that_fails_is_no_missing_package() -> None:
    assert missing_package(ModuleNotFoundError("No module named 'finetune.nothing'", name="finetune.nothing")) is None
    assert missing_package(ImportError("cannot import name 'x'")) is None
