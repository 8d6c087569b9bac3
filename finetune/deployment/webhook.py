"""The webhook: tells Telegram where the bot is now, with the app's own command line, `python -m app.bot`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import NamedTuple

from app.errors import MachineError, SettingError
from finetune.deployment.staged_sources import PACKAGES

# As the app's own settings have it.
TOKEN = re.compile(r"[0-9]+:[A-Za-z0-9_-]+")


class BotInfo(NamedTuple):
    """`name` begins with @; `webhook` is empty if there is none.

    `failed`: Telegram could not deliver to it lately, or was not told of all kinds of updates that the bot wants today.
    """

    name: str
    webhook: str
    failed: bool = False


def check_token(token: str) -> None:
    """Raises SettingError, which does not quote it."""
    if not TOKEN.fullmatch(token):
        raise SettingError("--telegram is no bot's token: copy it from @BotFather; it is digits, a colon and letters.")


def bot_info(token: str) -> BotInfo:
    """Raises MachineError, such as for a token that Telegram does not know."""
    said = run_bot(token, "", "info")
    name, webhook = (
        re.search(r"^bot +(@\S+)", said, re.MULTILINE),
        re.search(r"^webhook +(http\S+)", said, re.MULTILINE),
    )
    return BotInfo(
        name[1] if name else "your bot", webhook[1] if webhook else "", "\nerror " in said or "\nmissing " in said
    )


def set_webhook(token: str, secret: str, url: str) -> None:
    """Raises MachineError."""
    run_bot(token, secret, "set-webhook", url)


def delete_webhook(token: str) -> None:
    """Raises MachineError."""
    run_bot(token, "", "delete-webhook")


def run_bot(token: str, secret: str, *words: str) -> str:
    """Both secrets go through the environment, which other users of the machine cannot see."""
    paths = [str(PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])]
    given = {"TELEGRAM_TOKEN": token, "TELEGRAM_SECRET": secret, "PYTHONPATH": os.pathsep.join(paths)}
    ended = subprocess.run(
        [sys.executable, "-m", "app.bot", *words],
        env=os.environ | given,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if ended.returncode:
        said = ended.stderr.strip().splitlines()[-1:] or ["it ended without a word"]
        raise MachineError(f"Telegram: {said[0].removeprefix('error: ').replace(token, '…')}")
    return ended.stdout
