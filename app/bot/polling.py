"""Long polling: updates are fetched instead of received, for a laptop without a public address."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Sequence
from typing import Any

from telegram import Bot
from telegram.error import BadRequest, NetworkError

from app.bot.client import NotCarriedOut, explain_failure, understood
from app.bot.updates import Updates
from app.errors import QueueUnavailable, Undelivered
from app.settings import Settings

log = logging.getLogger(__name__)
# Seconds that Telegram keeps a request open while there is no update.
POLL_SECONDS = 25
MAX_PAUSE = 60
# Seconds to wait when Telegram cannot be reached, unless it says how long.
NETWORK_PAUSE = 2.0
# Telegram asks for no longer pause in earnest.
LONGEST_PAUSE = 3600.0


async def answer_forever(client: Bot, updates: Updates, kinds: Sequence[str], settings: Settings) -> None:
    """Fetch updates and answer them until cancelled. Waits while the network is down. Raises TelegramError for other errors."""
    offset = 0
    while True:
        try:
            fetched, following = await understood(fetch(client, offset, kinds))
        except BadRequest:
            # The library counts it among the network errors, but it does not go away.
            raise
        except NetworkError as error:
            asked = error.retry_after if isinstance(error, NotCarriedOut) else None
            pause = min(asked or NETWORK_PAUSE, LONGEST_PAUSE)
            log.warning("%s Trying again in %g s.", explain_failure(error, settings), pause)
            await asyncio.sleep(pause)
            continue
        await asyncio.gather(*(answer(updates, update) for update in fetched))
        # A request for the updates from `offset` on tells Telegram that the earlier ones are done.
        offset = following


async def fetch(client: Bot, offset: int, kinds: Sequence[str]) -> tuple[list[dict[str, Any]], int]:
    """The updates from `offset` on, and the next offset."""
    fetched = await client.get_updates(
        offset=offset, timeout=POLL_SECONDS, allowed_updates=kinds, read_timeout=POLL_SECONDS + 10
    )
    return [update.to_dict() for update in fetched], max([offset, *(update.update_id + 1 for update in fetched)])


async def answer(updates: Updates, update: dict[str, Any]) -> None:
    """Answer one update. Tries again until it succeeds, with longer and longer pauses."""
    for pause in (min(2**n, MAX_PAUSE) for n in itertools.count(1)):
        try:
            await updates.take(update)
        except (Undelivered, QueueUnavailable):
            await asyncio.sleep(pause)
        else:
            return
