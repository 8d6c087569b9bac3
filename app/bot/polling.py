"""Updates fetched instead of received, for a laptop with no public address."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Sequence
from typing import Any

from telegram import Bot
from telegram.error import NetworkError, TimedOut

from app.bot.updates import Updates
from app.errors import QueueUnavailable, RequestError

log = logging.getLogger(__name__)
# How long Telegram holds a request open that finds no update.
SECONDS = 25
LONGEST_PAUSE = 60


async def answer_forever(client: Bot, updates: Updates, kinds: Sequence[str]) -> None:
    """Raises TelegramError, unless the network comes back."""
    offset = 0
    while True:
        try:
            found = await client.get_updates(
                offset=offset, timeout=SECONDS, allowed_updates=kinds, read_timeout=SECONDS + 10
            )
        except NetworkError as error:
            # BadRequest and the like are network errors to python-telegram-bot, and will not pass.
            if type(error) not in (NetworkError, TimedOut):
                raise
            log.warning("Telegram cannot be reached: trying again")
            await asyncio.sleep(2)
            continue
        await asyncio.gather(*(answer(updates, update.to_dict()) for update in found))
        # Asking for what comes after them tells Telegram that these are done.
        offset = max([offset, *(update.update_id + 1 for update in found)])


async def answer(updates: Updates, update: dict[str, Any]) -> None:
    for pause in (min(2**n, LONGEST_PAUSE) for n in itertools.count(1)):
        try:
            await updates.take(update)
        except (RequestError, QueueUnavailable):
            await asyncio.sleep(pause)
        else:
            return
