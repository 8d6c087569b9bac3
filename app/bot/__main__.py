"""`python -m app.bot VERB`: tell Telegram where the bot is, or run it without a public address.

set-webhook URL    updates go to URL/telegram from now on; commands are registered
delete-webhook     updates wait at Telegram
info               what Telegram knows about the bot
poll               fetch updates and answer them, from a laptop
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from app.errors import FatalError, SettingError
from app.settings import Settings, read_settings

if TYPE_CHECKING:
    from telegram import Bot

KINDS = ("message", "callback_query")


async def set_webhook(client: Bot, settings: Settings, url: str) -> None:
    from app.bot.strings import COMMANDS

    settings.require_telegram_secret()
    if not re.fullmatch(r"https?://[^\s?#]+", url):
        raise SettingError(f"{url!r} is no address: give the service's, such as https://NAME.run.app.")
    address = url.rstrip("/").removesuffix("/telegram") + "/telegram"
    # As many at a time as one container writes or lets wait; Telegram allows 100.
    room = min(settings.concurrency + settings.queue_limit, 100)
    await client.set_webhook(
        address, secret_token=settings.telegram_secret, allowed_updates=KINDS, max_connections=room
    )
    await client.set_my_commands(list(COMMANDS.items()))
    print(f"updates go to {address}")


async def delete_webhook(client: Bot, settings: Settings) -> None:
    await client.delete_webhook()
    print("there is no webhook any more")


async def info(client: Bot, settings: Settings) -> None:
    me, webhook = await client.get_me(), await client.get_webhook_info()
    print(f"bot      @{me.username}")
    print(f"webhook  {webhook.url or 'none'}")
    print(f"waiting  {webhook.pending_update_count}")
    if webhook.last_error_date:
        print(f"trouble  {webhook.last_error_date:%Y-%m-%d %H:%M} UTC: {webhook.last_error_message}")


async def poll(client: Bot, settings: Settings) -> None:
    from app.bot import open_updates
    from app.bot.polling import answer_forever
    from app.engine.generation_queue import GenerationQueue
    from app.feedback import open_store
    from app.log import configure
    from app.models import load_models

    configure(settings.log_level, as_json=False)
    me = await client.get_me()
    if (await client.get_webhook_info()).url:
        raise SettingError("a webhook is set, so updates go there: `python -m app.bot delete-webhook` first.")
    models = await asyncio.to_thread(load_models, settings)
    queue = GenerationQueue(settings.concurrency, settings.queue_limit, settings.request_timeout)
    store = open_store(settings.feedback) if settings.feedback else None
    updates = open_updates(models, queue, store, settings)
    assert updates is not None
    print(f"@{me.username} is listening; Ctrl-C ends it", flush=True)
    try:
        await answer_forever(client, updates, KINDS)
    finally:
        await updates.close()
        queue.close()
        if store is not None:
            await store.close()


VERBS: dict[str, Callable[..., Awaitable[None]]] = {
    "set-webhook": set_webhook,
    "delete-webhook": delete_webhook,
    "info": info,
    "poll": poll,
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m app.bot", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name in VERBS:
        verb = verbs.add_parser(name)
        if name == "set-webhook":
            verb.add_argument("url", metavar="URL", help="the service's address, such as https://NAME.run.app")
    arguments = parser.parse_args()
    more = [arguments.url] if arguments.verb == "set-webhook" else []
    try:
        asyncio.run(run(VERBS[arguments.verb], more))
    except FatalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


async def run(verb: Callable[..., Awaitable[None]], more: list[str]) -> None:
    """Raises FatalError, also for what Telegram says: none of its words can hold the token."""
    settings = read_settings()
    if not settings.telegram_token:
        raise SettingError("TELEGRAM_TOKEN is empty: set it to the token that @BotFather gave.")
    from telegram.error import BadRequest, Conflict, InvalidToken, NetworkError, TelegramError

    from app.bot.client import open_client

    client = open_client(settings)
    try:
        await verb(client, settings, *more)
    except InvalidToken:
        raise SettingError("Telegram does not know this TELEGRAM_TOKEN: copy it again from @BotFather.") from None
    except Conflict:
        raise SettingError("another process fetches this bot's updates: stop it first.") from None
    except NetworkError as error:
        if isinstance(error, BadRequest):
            raise SettingError(f"Telegram refused: {error}.") from None
        raise SettingError(
            f"{settings.telegram_api_url} cannot be reached: look at the network, or TELEGRAM_API_URL."
        ) from None
    except TelegramError as error:
        raise SettingError(f"Telegram refused: {error}.") from None
    finally:
        await client.request.shutdown()


if __name__ == "__main__":
    sys.exit(main())
