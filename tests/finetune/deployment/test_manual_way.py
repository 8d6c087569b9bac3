"""The docs' commands for gcloud: the blocks work from top to bottom, and no flag is one that Google's reference lacks."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from finetune.__main__ import main
from finetune.deployment.staged_sources import stage_sources
from tests.conftest import ROOT
from tests.fakes.bot_api import TOKEN
from tests.fakes.gcloud.command_lines import parse
from tests.fakes.gcloud.fake_project import FakeGcloud
from tests.fakes.telegram import Telegram
from tests.pages import PAGES, blocks

FILES = ("service.yaml", "cloudbuild.yaml", "training-job.yaml", "Dockerfile")


def by_hand(page: str) -> str:
    """The blocks that come before the next use of `gpt2`: a script."""
    text = PAGES[f"docs/{page}.md"]
    start = text.find("By hand") if "By hand" in text else text.index("by hand")
    section = re.split(r"^## ", text[start:], flags=re.MULTILINE)[0]
    return "\n".join("\n".join(block.lines) for block in blocks(section) if "cloud" in block.words)


@pytest.mark.slow
def test_the_blocks_can_be_pasted_from_top_to_bottom(cloud: FakeGcloud, tmp_path: Path) -> None:
    """`set -u` ends the script at a variable that no block has set."""
    clone = tmp_path / "clone"
    clone.mkdir()
    stage_sources(Path("models/jokes"), clone)
    script = "\n".join(by_hand(page) for page in ("deploying", "telegram", "votes"))
    assert not [line for line in script.splitlines() if line.startswith(("$ ", "#"))], (
        "no prompt, and no comment for zsh"
    )
    with Telegram().serving() as telegram:
        environ = os.environ | {"TELEGRAM_API_URL": telegram.url}
        python = f'python() {{ PYTHONPATH={ROOT} {shlex.quote(sys.executable)} "$@"; }}\n'
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", python + script.replace("123456:the-token", TOKEN)],
            cwd=clone,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        assert "@JokerBot" in ended.stdout
        assert telegram.webhook["url"] == f"{cloud.state['url']}/telegram"
    assert '"text":' in ended.stdout
    cloud.forget()
    assert main(["deploy", "--votes", "--yes"]) == 0
    only_built = [["gcloud", "run", "deploy"]]
    assert [change.split()[:3] for change in cloud.changes()] == only_built, "deploy takes over what was made by hand"


def written_commands(text: str) -> list[list[str]]:
    """Every gcloud and bq command: in blocks, in inline code and in comments, with their words."""
    text = re.sub(r"\\\n[# ]*", " ", text)
    program = r"(?:gcloud|bq) (?!is )[a-z]"
    inline = re.findall(rf"`({program}[^`\n]+)`", text)
    lines = re.findall(rf"(?:^[#$> ]*|\| )({program}.+)$", text, re.MULTILINE)
    inner = re.findall(rf"\$\(({program}(?:[^()]|\([^()]*\))*)\)", text)
    return [shlex.split(re.split(r" {4,}", command)[0]) for command in [*inline, *lines, *inner]]


@pytest.mark.parametrize("name", [*PAGES, *FILES])
def test_no_command_has_a_flag_that_the_reference_lacks(name: str) -> None:
    text = PAGES[name] if name in PAGES else (ROOT / name).read_text(encoding="utf-8")
    for words in written_commands(text):
        if len(words) > 3 and words[-1] != "--source":
            parse(words)


def test_commands_are_found() -> None:
    found = [" ".join(words) for name in PAGES for words in written_commands(PAGES[name])]
    assert len(found) > 25
    for part in (
        "secrets create $SERVICE-telegram-token --data-file -",
        "projects describe $PROJECT",
        "run services logs read",
    ):
        assert any(part in command for command in found), part
