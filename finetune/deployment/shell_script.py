"""The same steps as commands for a shell, which can be pasted from top to bottom."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from finetune.deployment.cloud_project import CloudProject
from finetune.deployment.deployment_plan import Deployment, secret_names
from finetune.deployment.gcloud import Step
from finetune.deployment.staged_sources import PACKAGES, staging_commands

UNKNOWN = CloudProject("$PROJECT", "us-central1", "$ACCOUNT")
"""A project that nobody could be asked about. Its commands use variables that the script sets first."""
SOURCE = Path("$SOURCE")
"""The folder that is sent. The script makes it and removes it, so a dry run leaves nothing behind."""
WIDTH = 110
TAKE_COMMENTS = "setopt interactive_comments 2> /dev/null || true"
"""Else zsh takes comments that are pasted for commands."""
VARIABLE = re.compile(r"\$(PROJECT|ACCOUNT|URL|SOURCE)\b")
ACCOUNT = (
    'ACCOUNT="$(gcloud projects describe "$PROJECT" --format "value(projectNumber)")'
    '-compute@developer.gserviceaccount.com"'
)


def commands(steps: Sequence[Step]) -> Iterator[str]:
    """Each step's command, with a comment before it."""
    for step in steps:
        yield f"# {step.does[0].upper()}{step.does[1:]}."
        yield f"{step.piped} | {typed(step.words)}" if step.piped else typed(step.words)


def script(steps: Sequence[Step], project: CloudProject, wanted: Deployment) -> Iterator[str]:
    """The whole deployment, up to the first request and the bot's webhook."""
    if project.name == UNKNOWN.name:
        yield "PROJECT=my-project  # yours: `gcloud projects list` shows them"
    if project.account == UNKNOWN.account:
        yield ACCOUNT.replace('"$PROJECT"', quoted(project.name))
    if any("$TELEGRAM_TOKEN" in step.piped for step in steps) and not os.environ.get("TELEGRAM_TOKEN"):
        yield "export TELEGRAM_TOKEN=123456:the-token  # what @BotFather gave you"
    builds = any(str(SOURCE) in step.words for step in steps)
    if builds:
        yield "# Gather what is sent: the app and the bundle."
        yield from staging_commands(wanted.bundle.folder)
    yield from commands(steps)
    if builds:
        yield f'rm -rf "{SOURCE}"'
    service = wanted.service
    describe = ("gcloud", "run", "services", "describe", service, "--region", project.region, "--project", project.name)
    yield "# Ask it something."
    yield f'URL="$({typed((*describe, "--format", "value(status.url)"))})"'
    yield 'curl "$URL/?prefix=Why"'
    if wanted.token:
        yield "# Tell Telegram where the bot is."
        for variable, name in zip(("TELEGRAM_TOKEN", "TELEGRAM_SECRET"), secret_names(service), strict=True):
            access = ("gcloud", "secrets", "versions", "access", "latest", "--secret", name, "--project", project.name)
            yield f'export {variable}="$({typed(access)})"'
        found = "" if "site-packages" in PACKAGES.parts else f"PYTHONPATH={shlex.quote(str(PACKAGES))} "
        yield f'{found}{shlex.quote(sys.executable)} -m app.bot set-webhook "$URL"'


def typed(words: Sequence[str]) -> str:
    """On lines of at most 110 characters, where the words allow it."""
    lines = [""]
    for word in map(quoted, words):
        if len(lines[-1]) + len(word) > WIDTH:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return " \\\n    ".join(lines)


def quoted(word: str) -> str:
    """As a shell takes it for this word, with the script's variables filled in."""
    if not VARIABLE.search(word):
        return shlex.quote(word)
    return '"' + re.sub(r'(["`\\])', r"\\\1", word) + '"'
