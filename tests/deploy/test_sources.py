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


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["bundle", "training"])
def test_the_image_has_every_module_that_export_and_training_import(
    stage: str, checkpoint: Path, tmp_path: Path
) -> None:
    """Fixed: the engine imported the settings, which this stage of the build lacks, so every build with a checkpoint failed."""
    (lines,) = re.findall(
        rf"^FROM pip AS {stage}$(.+?)^FROM ", (ROOT / "Dockerfile").read_text(), re.DOTALL | re.MULTILINE
    )
    copies = [line.split() for line in re.findall(r"^COPY ((?:app|finetune).*)$", lines, re.MULTILINE)]
    for *sources, target in copies:
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, tmp_path / target)
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
