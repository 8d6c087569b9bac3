"""Every block of commands in the docs is run here, or names what it needs that tests do not have."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

from app.engine.default_bundle import default_bundle, deployed_model
from finetune.build_context import IGNORE_FILES
from tests.conftest import ROOT, process, write_tiny
from tests.deploy.build_ignores import sent_by_docker, sent_by_gcloud
from tests.pages import NEEDS, PAGES, README, blocks


def test_every_block_of_commands_is_run_or_says_what_it_needs() -> None:
    for name, text in PAGES.items():
        for block in blocks(text):
            assert set(block.words) <= NEEDS, f"{name}: ```{block.language} {' '.join(block.words)}"
            assert block.language != "console" or block.commands, f"{name}: a block of commands without a command"
    assert all(f"| `{word}` |" in PAGES["docs/README.md"] for word in NEEDS)


def furnish(folder: Path) -> None:
    """Create what the pages take for granted in a folder. Its models are tiny."""
    (folder / "models").mkdir(parents=True)
    (folder / "models/starter").symlink_to(ROOT / "models/starter")
    for name in IGNORE_FILES:
        shutil.copy(ROOT / name, folder)
    for name in ("models/124M", "checkpoint/theirs", "checkpoint/run1"):
        write_tiny(folder / name)
    jokes = "".join(
        f"Why did duck {number} cross road {number * 7}? To see {number * 3} geese.\n" for number in range(90)
    )
    (folder / "jokes.csv").write_text(f"joke\n{jokes}", encoding="utf-8")
    comments = (
        {"id": str(number), "author": "ann", "subreddit": "AmItheAsshole", "created_utc": 1546300800, "score": 5,
         "body": f"YTA, and you know why this is number {number}.", "parent_id": "t3_x", "link_id": "t3_x"}
        for number in range(50)
    )  # fmt: skip
    (folder / "dumps").mkdir()
    lines = "".join(f"{json.dumps(comment)}\n" for comment in comments)
    (folder / "dumps/RC_2019-01.zst").write_bytes(zstandard.compress(lines.encode()))


def run(command: str, folder: Path, address: str) -> str:
    """Run a command as it is written, but against this test's server and with fewer training steps. Returns its output."""
    typed = command.replace("http://localhost:8080", address).replace("localhost:8080", address)
    typed = re.sub(r"^gpt2 ", "python -m finetune ", typed)
    typed = re.sub(r"(finetune train .*--steps) \d+", r"\1 2 --sample-length 8", typed)
    typed = re.sub(r"(finetune new .*)", r"\1 --steps 2", typed)
    environ = os.environ | {"PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", typed], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, f"$ {command}\n{ended.stdout}{ended.stderr}"
    return ended.stdout


def run_page(text: str, folder: Path) -> None:
    """Run a page's commands and Python from top to bottom. `MODEL=... make serve` chooses the model for the commands after it."""
    with contextlib.ExitStack() as servers:
        address = ""
        for block in blocks(text):
            said = "\n".join(block.lines)
            if "server" in block.words:
                model = re.search(r"MODEL=(\S+)", said)
                address = serve(servers, model[1] if model else str(default_bundle()))
            if block.words or block.language not in ("console", "python"):
                continue
            if "localhost" in said and not address:
                address = serve(servers, "models/starter")
            if block.language == "python":
                run(f"python - <<'END'\n{said}\nEND", folder, address)
            for command in block.commands:
                assert '{"error"' not in run(command.replace("curl ", "curl -sS "), folder, address), command


def serve(servers: contextlib.ExitStack, model: str) -> str:
    _, address = servers.enter_context(process("-m", "app", MODEL=model))
    return address


def assert_deployed(folder: Path, bundle: str) -> None:
    """Who has followed a page deploys what was made there, and sends nothing else of models/ and checkpoint/."""
    assert deployed_model(project=folder) == folder / bundle
    for sent in (sent_by_gcloud(folder), sent_by_docker(folder)):
        files = {path for path in sent if path.startswith(("models/", "checkpoint/"))}
        assert {str(Path(path).parent) for path in files - {"models/DEFAULT"}} == {bundle}


@pytest.mark.slow
def test_the_commands_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The front page runs in one folder. The quickstart and then all other pages, which build on it, run in another."""
    front, rest = tmp_path / "front", tmp_path / "rest"
    for folder in (front, rest):
        furnish(folder)
    monkeypatch.chdir(front)
    run_page(README, front)
    assert_deployed(front, "models/mine")
    monkeypatch.chdir(rest)
    run_page(PAGES["docs/quickstart.md"], rest)
    assert_deployed(rest, "models/jokes")
    run(
        "python -m finetune export --checkpoint checkpoint/theirs --out downloads/DialoGPT-small --format huggingface",
        rest,
        "",
    )
    for name in PAGES.keys() - {"README.md", "docs/quickstart.md"}:
        run_page(PAGES[name], rest)
