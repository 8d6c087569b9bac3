"""The app with all its doors open: a store of votes, the game, and a bot where there is a Telegram."""

from __future__ import annotations

from pathlib import Path

from tests.fakes.bot_api import TOKEN
from tests.fakes.telegram import SECRET

PEOPLE = '{"turns": ["Why do ducks fly?", "It is too far to walk."]}\n'
"""The game shows texts by people, too."""


def everything_on(folder: Path, telegram_url: str = "") -> dict[str, str]:
    """The settings. The store and the texts by people lie in `folder`. `telegram_url` is where Telegram's API is."""
    (folder / "people.jsonl").write_text(PEOPLE, encoding="utf-8")
    settings = {
        "ENGINE": "fake",
        "FEEDBACK": f"sqlite:///{folder}/feedback.db",
        "COMPARE": f"fake,{folder}/people.jsonl",
        "LOG_LEVEL": "warning",
    }
    bot = {"TELEGRAM_TOKEN": TOKEN, "TELEGRAM_SECRET": SECRET, "TELEGRAM_API_URL": telegram_url, "TELEGRAM_RATE": "0"}
    return settings | (bot if telegram_url else {})
