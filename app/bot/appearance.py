"""How the bot looks before anybody has written to it: its commands, its descriptions and its menu button."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import httpx
import msgspec
from telegram import Bot, MenuButtonCommands, MenuButtonWebApp, WebAppInfo

from app.bot.client import BoundedTransport
from app.bot.languages import LANGUAGES, Language, offered
from app.network import find_proxy

# Telegram's limits, in characters.
DESCRIPTION, SHORT_DESCRIPTION = 512, 120
# Seconds that a service may take to start and answer.
PATIENCE = 20.0


class ServedModel(msgspec.Struct):
    """What a model says about itself."""

    title: str = ""
    about: str = ""


class ServedVersion(msgspec.Struct):
    """What the service says about itself at `/version`."""

    model: str
    models: list[str]
    profiles: dict[str, ServedModel]
    ratings: bool = False
    play: bool = False
    needs_key: bool = False

    @property
    def profile(self) -> ServedModel:
        return self.profiles.get(self.model) or ServedModel()

    @property
    def commands(self) -> list[str]:
        return offered(votes=self.ratings, two_models=len(self.models) > 1, game=self.play)


async def ask_service(address: str) -> ServedVersion | None:
    """What is served there, or None if nothing answers yet."""
    try:
        proxy = find_proxy(address, "httpx")
        transport = BoundedTransport(proxy.address if proxy else None)
        async with (
            asyncio.timeout(PATIENCE),
            httpx.AsyncClient(timeout=PATIENCE, transport=transport, trust_env=False) as client,
        ):
            reply = await client.get(f"{address}/version", headers={"Accept": "application/json"})
            return msgspec.json.decode(reply.raise_for_status().content, type=ServedVersion)
    except (httpx.HTTPError, httpx.InvalidURL, msgspec.MsgspecError, ValueError, OSError):
        return None


async def show_commands(client: Bot, commands: Sequence[str]) -> None:
    """Register the commands, with their meanings in every language. Raises TelegramError."""
    for code, language in LANGUAGES.items():
        meanings = [(command, language.commands[command]) for command in commands]
        await client.set_my_commands(meanings, language_code=code or None)


async def introduce(client: Bot, served: ServedVersion, address: str) -> None:
    """Say in every language who the bot is, and let its menu button open the page. Raises TelegramError."""
    for code, language in LANGUAGES.items():
        await client.set_my_description(description(served.profile, language), code or None)
        await client.set_my_short_description(short_description(served.profile, language), code or None)
    # Telegram opens pages over HTTPS only. Whoever has no key could do nothing on the page.
    opens_page = address.startswith("https://") and not served.needs_key
    button = MenuButtonWebApp(LANGUAGES[""].page, WebAppInfo(f"{address}/")) if opens_page else MenuButtonCommands()
    await client.set_chat_menu_button(menu_button=button)


def description(profile: ServedModel, language: Language) -> str:
    """What Telegram shows in an empty chat."""
    who = "\n".join(filter(None, [profile.title, profile.about]))
    return f"{who}\n\n{language.invitation}".strip()[:DESCRIPTION]


def short_description(profile: ServedModel, language: Language) -> str:
    """What Telegram shows in the bot's profile and beside a link to it."""
    lines = (profile.about, profile.title, language.invitation)
    return next(line for line in lines if line and len(line) <= SHORT_DESCRIPTION)
