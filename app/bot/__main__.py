"""The command line of the bot, `python -m app.bot VERB`: connect the bot to Telegram, or run it without a public address.

set-webhook URL    send updates to URL/telegram from now on, and say who the bot is: commands, descriptions, menu button
delete-webhook     keep updates at Telegram from now on
info               show what Telegram knows about the bot
poll               fetch updates and answer them, on a laptop for example
"""

from __future__ import annotations

# The container does not install cyclopts, which the commands of finetune use.
import argparse
import asyncio
import logging
import re
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from app.errors import FatalError, SettingError
from app.log import write_utf_8
from app.settings import Settings, misspelt, read_settings

if TYPE_CHECKING:
    from telegram import Bot

log = logging.getLogger(__name__)
UPDATE_KINDS = (
    "message", "edited_message", "callback_query", "message_reaction", "inline_query", "chosen_inline_result",
)  # fmt: skip
# Telegram's limit on the simultaneous connections to a webhook.
MAX_CONNECTIONS = 100


async def set_webhook(client: Bot, settings: Settings, url: str) -> None:
    from app.bot.client import understood

    settings.require_telegram_secret()
    if not re.fullmatch(r"https?://[^\s?#]+", url):
        raise SettingError(f"{url!r} is not a URL: give the service's, such as https://NAME.run.app.")
    base = url.rstrip("/").removesuffix("/telegram")
    address = f"{base}/telegram"
    # As many as one container can run and queue.
    connections = min(settings.concurrency + settings.queue_limit, MAX_CONNECTIONS)
    await understood(
        client.set_webhook(
            address, secret_token=settings.telegram_secret, allowed_updates=UPDATE_KINDS, max_connections=connections
        )
    )
    print(f"Telegram now sends updates to {address}")
    await set_appearance(client, settings, base)


async def set_appearance(client: Bot, settings: Settings, base: str) -> None:
    """Tell people who the bot is, which is no reason to fail: the webhook is set by now."""
    from telegram.error import TelegramError

    from app.bot.appearance import ask_service, introduce, show_commands
    from app.bot.client import explain_failure, understood
    from app.bot.languages import offered

    served = await ask_service(base)
    try:
        commands = served.commands if served else offered(votes=True, two_models=False, game=False)
        await understood(show_commands(client, commands))
        if served is None:
            print(
                f"note: {base}/version does not answer, so the bot's description and menu button stay as they are:"
                " run this again when it does.",
                file=sys.stderr,
            )
        else:
            await understood(introduce(client, served, base))
    except TelegramError as error:
        print(
            f"warning: updates will come, but commands and descriptions are not all set: {explain_failure(error, settings)}"
            " Run this again later.",
            file=sys.stderr,
        )


async def delete_webhook(client: Bot, settings: Settings) -> None:
    from app.bot.client import understood

    await understood(client.delete_webhook())
    print("the webhook is deleted")


async def info(client: Bot, settings: Settings) -> None:
    from app.bot.client import understood

    me, webhook = await understood(client.get_me()), await understood(client.get_webhook_info())
    print(f"bot      @{me.username}")
    print(f"webhook  {webhook.url or 'none'}")
    print(f"waiting  {webhook.pending_update_count}")
    # A webhook of before: Telegram keeps to itself what it was not asked for then.
    if webhook.allowed_updates and (missing := set(UPDATE_KINDS) - set(webhook.allowed_updates)):
        print(f"missing  {', '.join(sorted(missing))}: run set-webhook again")
    if webhook.last_error_date:
        print(f"error    {webhook.last_error_date:%Y-%m-%d %H:%M} UTC: {webhook.last_error_message}")


async def poll(client: Bot, settings: Settings) -> None:
    from app.blind.comparison import read_comparison
    from app.blind.guessing_game import open_game
    from app.bot import open_updates
    from app.bot.client import understood
    from app.bot.polling import answer_forever
    from app.engine.generation_queue import GenerationQueue
    from app.feedback import open_store
    from app.log import configure_logging
    from app.models import load_models

    configure_logging(settings.log_level, as_json=False)
    for warning in misspelt():
        log.warning(warning)
    me = await understood(client.get_me())
    if (await understood(client.get_webhook_info())).url:
        raise SettingError("a webhook is set, so updates go there: run `python -m app.bot delete-webhook` first.")
    models = await asyncio.to_thread(load_models, settings)
    queue = GenerationQueue(settings.concurrency, settings.queue_limit, settings.request_timeout, models.memory)
    store = open_store(settings.feedback) if settings.feedback else None
    comparison = read_comparison(settings.compare, models.names)
    game = open_game(models, queue, store, comparison, settings.max_length)
    updates = open_updates(models, queue, store, settings, comparison, game)
    assert updates is not None
    print(f"@{me.username} is listening: press Ctrl-C to stop", flush=True)
    try:
        await answer_forever(client, updates, UPDATE_KINDS, settings)
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
    write_utf_8()
    parser = argparse.ArgumentParser(
        prog="python -m app.bot", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    parsers = {name: verbs.add_parser(name) for name in VERBS}
    parsers["set-webhook"].add_argument("url", metavar="URL", help="the service's URL, such as https://NAME.run.app")
    arguments = vars(parser.parse_args())
    verb = VERBS[arguments.pop("verb")]
    try:
        asyncio.run(run(verb, arguments))
    except FatalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


async def run(verb: Callable[..., Awaitable[None]], arguments: dict[str, str]) -> None:
    """Carry out a verb. Raises FatalError, whose message may quote Telegram's, which never contains the token."""
    settings = read_settings()
    if not settings.telegram_token:
        raise SettingError("TELEGRAM_TOKEN is empty: set it to the token that @BotFather gave you.")
    from telegram.error import TelegramError

    from app.bot.client import explain_failure, open_client

    client = open_client(settings)
    try:
        await verb(client, settings, **arguments)
    except TelegramError as error:
        raise SettingError(explain_failure(error, settings)) from None
    finally:
        await client.request.shutdown()


if __name__ == "__main__":
    sys.exit(main())
