"""What is sent to be built, and what the image is built from."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


def test_gcloud_sends_all_that_git_has() -> None:
    """Without a choice, and of models/ only the starter. tests/deploy/test_default.py has what else is sent of it."""
    command = ["git", "ls-files", "--cached", "--ignored", f"--exclude-from={ROOT / '.gcloudignore'}"]
    ignored = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert not [path for path in ignored if not path.startswith("models/")]


def test_the_image_needs_every_stage() -> None:
    """Fixed: Google's builder runs every stage, also the one that installed eight gigabytes for training."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    stages = re.findall(r"^FROM (\S+) AS (\w+)$", text, re.MULTILINE)
    used = {base for base, _ in stages} | set(re.findall(r"--from=(\w+)", text))
    assert {name for _, name in stages[:-1]} <= used


@pytest.mark.slow
@pytest.mark.parametrize("dockerfile", ["Dockerfile", "training.Dockerfile"])
def test_the_image_has_every_module_that_export_and_training_import(
    dockerfile: str, checkpoint: Path, tmp_path: Path
) -> None:
    """Fixed: the engine imported the settings, which this stage of the build lacks, so every build with a checkpoint failed."""
    stages = re.split(r"^FROM ", (ROOT / dockerfile).read_text(encoding="utf-8"), flags=re.MULTILINE)
    (lines,) = [stage for stage in stages if "\nCOPY finetune finetune\n" in stage]
    copies = [line.split() for line in re.findall(r"^COPY ((?:app|finetune).*)$", lines, re.MULTILINE)]
    for *sources, target in copies:
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, tmp_path / target, dirs_exist_ok=True)
            else:
                (tmp_path / target).mkdir(exist_ok=True)
                shutil.copy(ROOT / source, tmp_path / target)
    command = [
        sys.executable,
        "-m",
        "finetune",
        "export",
        "--checkpoint",
        str(checkpoint),
        "--out",
        str(tmp_path / "out"),
    ]
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "out" / "manifest.json").is_file()


def test_what_is_served_is_found_with_nothing_but_python(tmp_path: Path) -> None:
    """The build asks before it installs anything, with the files that the Dockerfile has copied by then."""
    lines = (ROOT / "Dockerfile").read_text().split("FROM pip AS bundle")[1].split("\nRUN ")[0]
    for *sources, target in (line.split() for line in re.findall(r"^COPY (app/.*)$", lines, re.MULTILINE)):
        (tmp_path / target).mkdir(parents=True, exist_ok=True)
        for source in sources:
            shutil.copy(ROOT / source, tmp_path / target)
    shutil.copytree(ROOT / "models/starter", tmp_path / "models/starter")
    code = (
        "import sys, runpy; sys.path.insert(0, '.'); runpy.run_module('app.engine.default_bundle', run_name='__main__')"
    )
    command = [sys.executable, "-I", "-S", "-c", code]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "models/starter\n", "")


def test_the_app_of_a_clone_that_only_its_owner_may_read_starts(tmp_path: Path) -> None:
    """After `umask 077`, COPY gave root files that nobody else may read, and the container did not start."""
    (run,) = re.findall(r"^RUN (find app .*)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    module = tmp_path / "app/api/routes.py"
    module.parent.mkdir(parents=True)
    module.touch()
    for path in (module, module.parent, tmp_path / "app"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    subprocess.run(["bash", "-ec", run.replace("python3", sys.executable)], cwd=tmp_path, check=True)
    assert [path.stat().st_mode & 0o555 for path in (tmp_path / "app", module.parent, module)] == [0o555, 0o555, 0o444]
