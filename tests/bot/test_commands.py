"""`python -m app.bot`: webhook, polling, and one line for each error."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from app.bot.__main__ import UPDATE_KINDS
from app.bot.appearance import SHORT_DESCRIPTION, ServedModel, ServedVersion, introduce
from app.bot.client import open_client
from app.bot.languages import COMMANDS, LANGUAGES, Language
from app.engine.fake import FakeEngine
from app.engine.profile import Profile
from app.settings import Settings
from tests.bot.conftest import GROUP, Failing
from tests.bot.polling_process import poll
from tests.conftest import run_module, serving
from tests.fakes.bot_api import TOKEN, Fault
from tests.fakes.bot_api_fields import entities
from tests.fakes.telegram import SECRET, Telegram


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"TELEGRAM_TOKEN": TOKEN, "TELEGRAM_SECRET": SECRET, "ENGINE": "fake", "FEEDBACK": ""}


@pytest.mark.slow
def test_the_webhook_is_set_shown_and_deleted(environ: dict[str, str]) -> None:
    with Telegram().serving() as telegram:
        environ["TELEGRAM_API_URL"] = telegram.url
        ended = run_module("app.bot", "set-webhook", "https://a.example/", **environ)
        assert (ended.returncode, ended.stdout) == (0, "Telegram now sends updates to https://a.example/telegram\n")
        assert telegram.webhook == {
            "url": "https://a.example/telegram",
            "secret_token": SECRET,
            "allowed_updates": list(UPDATE_KINDS),
            "max_connections": "33",
        }
        assert ended.stderr.startswith("note: https://a.example/version does not answer, so the bot's description")
        assert set(telegram.commands) == set(LANGUAGES)
        assert {each["command"] for each in telegram.commands[""]} == set(COMMANDS) - {"duet", "play"}
        assert (telegram.descriptions, telegram.menu_button) == ({}, {})
        told = run_module("app.bot", "info", **environ).stdout
        assert told == "bot      @JokerBot\nwebhook  https://a.example/telegram\nwaiting  0\n"
        telegram.webhook["allowed_updates"] = [kind for kind in UPDATE_KINDS if kind != "edited_message"]
        told = run_module("app.bot", "info", **environ).stdout
        assert told.endswith("\nmissing  edited_message: run set-webhook again\n")
        assert run_module("app.bot", "delete-webhook", **environ).returncode == 0
        assert telegram.webhook == {}


@pytest.mark.slow
def test_people_read_who_the_bot_is_in_their_language(environ: dict[str, str]) -> None:
    profile = Profile(title="Small jokes", about="Jokes & talk.", template="chat")
    with Telegram().serving() as telegram, serving(FakeEngine(profile=profile), feedback="") as url:
        environ["TELEGRAM_API_URL"] = telegram.url
        ended = run_module("app.bot", "set-webhook", f"{url}/telegram", **environ)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert telegram.descriptions["de"] == f"Small jokes\nJokes & talk.\n\n{LANGUAGES['de'].invitation}"
        assert telegram.short_descriptions == dict.fromkeys(LANGUAGES, "Jokes & talk.")
        assert [each["command"] for each in telegram.commands["ru"]] == [
            "joke",
            "chat",
            "reset",
            "model",
            "settings",
            "help",
        ]
        # The page is opened over HTTPS only.
        assert telegram.menu_button == {"type": "commands"}
        telegram.fault = Failing("setMyDescription", Fault(retry_after=60), 9)
        ended = run_module("app.bot", "set-webhook", url, **environ)
        assert (ended.returncode, ended.stderr.count("\n")) == (0, 1)
        assert ended.stderr.startswith(
            "warning: updates will come, but commands and descriptions are not all set: Telegram refused"
        )


def test_the_menu_button_opens_the_page_where_anybody_may_use_it() -> None:
    async def buttons() -> list[dict[str, Any]]:
        found = []
        with Telegram().serving() as telegram:
            client = open_client(Settings(telegram_token=TOKEN, telegram_api_url=telegram.url))
            for needs_key in (False, True):
                served = ServedVersion("m", ["m"], {"m": ServedModel()}, needs_key=needs_key)
                await introduce(client, served, "https://a.example")
                found.append(telegram.menu_button)
            assert telegram.descriptions["fr"] == telegram.short_descriptions["fr"] == LANGUAGES["fr"].invitation
            await client.request.shutdown()
        return found

    page = {"type": "web_app", "text": "Open", "web_app": {"url": "https://a.example/"}}
    assert asyncio.run(buttons()) == [page, {"type": "commands"}]


@pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES)
def test_every_command_has_its_words_in_every_language(language: Language) -> None:
    assert list(language.commands) == list(COMMANDS)
    assert all(1 <= len(meaning) <= 60 for meaning in language.commands.values())
    assert len(language.invitation) <= SHORT_DESCRIPTION


def test_polling_answers_and_ends_with_ctrl_c(environ: dict[str, str]) -> None:
    as_channel: dict[str, Any] = {
        "from": {"id": 136817688, "is_bot": True, "first_name": "Channel"},
        "sender_chat": {"id": -501, "type": "channel", "title": "Channel"},
    }
    with Telegram().serving() as telegram:
        telegram.write(7, "Hello")
        telegram.write(8, "/help")
        mine = telegram.write(GROUP, "/start@JokerBot", user=8)
        for text in ("why, @JokerBot?", "/joke@JokerBot"):
            telegram.write(GROUP, None, user=8, caption=text, caption_entities=entities(text), reply_to_message=mine)
        telegram.write(GROUP, "/joke@JokerBot", **as_channel)
        out = poll(telegram, environ)
        assert out.startswith("@JokerBot is listening")
        assert [len(telegram.said(chat)) for chat in (7, 8, GROUP)] == [1, 1, 4]


@pytest.mark.parametrize(
    ("arguments", "changes", "said"),
    [
        (["info"], {"TELEGRAM_TOKEN": ""}, "TELEGRAM_TOKEN is empty: set it to the token that @BotFather gave you."),
        (["info"], {"TELEGRAM_TOKEN": "1:wrong"}, "Telegram does not know this TELEGRAM_TOKEN: copy it again"),
        (["info"], {"TELEGRAM_TOKEN": "abc/d"}, "TELEGRAM_TOKEN is not what it should be, and should be the token"),
        (["poll"], {}, "a webhook is set, so updates go there"),
        (["info"], {"TELEGRAM_API_URL": "http://127.0.0.1:9"}, "http://127.0.0.1:9 cannot be reached"),
        (["set-webhook", "https://a.example"], {"TELEGRAM_SECRET": ""}, "TELEGRAM_SECRET is empty and TELEGRAM_TOKEN is not"),
        (["set-webhook", "a.example"], {}, "'a.example' is not a URL: give the service's"),
    ],
)  # fmt: skip
def test_an_error_is_one_line(
    environ: dict[str, str], arguments: list[str], changes: dict[str, str], said: str
) -> None:
    with Telegram().serving() as telegram:
        telegram.webhook = {"url": "https://a.example/telegram"}
        ended = run_module("app.bot", *arguments, **environ | {"TELEGRAM_API_URL": telegram.url} | changes)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"error: {said}")
    assert ended.stderr.count("\n") == 1
    assert TOKEN not in ended.stderr
    assert "abc/d" not in ended.stderr
