"""/top: the texts that people like best, this week and ever."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from telegram import Message

from app.blind.jokes import Joke
from app.bot.message_limits import cut
from app.bot.outbox import Outbox
from app.bot.query_cache import QueryCache
from app.bot.strings import NO_FAVOURITES, TOP_EVER, TOP_HIDDEN, TOP_WEEK, VOTES_OFF
from app.feedback.store import LikedText, Store

# Texts of each list, and how much of each is shown, in Telegram's units: two lists fit into a message.
SHOWN = 3
LONGEST = 600
WEEK = timedelta(days=7)
# The 97.5 % point of the normal distribution, for intervals of 95 %.
Z = 1.96


class TopTexts:
    """Shows texts that hold no words of any person. `blind`: none are shown, since the authors are being compared.

    Who has read what others like best judges the next text by it.
    """

    def __init__(self, store: Store | None, *, blind: bool) -> None:
        self._blind = blind
        seconds = store.tally_seconds if store else 0.0
        self._lists = (
            {
                TOP_WEEK: QueryCache(lambda: store.liked_texts(datetime.now(UTC) - WEEK), seconds),
                TOP_EVER: QueryCache(store.liked_texts, seconds),
            }
            if store
            else {}
        )

    async def show(self, message: Message, outbox: Outbox) -> None:
        """Raises TelegramError, StoreError."""
        if self._blind or not self._lists:
            await outbox.send(message, TOP_HIDDEN if self._blind else VOTES_OFF)
            return
        parts: list[str] = []
        known: set[LikedText] = set()
        for title, cache in self._lists.items():
            texts = [text for text in best((await cache.result()).value, 2 * SHOWN) if text not in known][:SHOWN]
            known |= set(texts)
            if texts:
                parts.append("\n\n".join([title, *map(line, texts)]))
        await outbox.send(message, "\n\n\n".join(parts) or NO_FAVOURITES)


def best(texts: Sequence[LikedText], count: int) -> list[LikedText]:
    """The `count` texts with the highest lower bound of their share of votes for them, each text once."""
    ranked = sorted(texts, key=lambda text: -wilson_lower_bound(text.up, text.down))
    return list({(text.prompt, text.text): text for text in reversed(ranked)}.values())[::-1][:count]


def wilson_lower_bound(up: int, down: int) -> float:
    """The lower end of Wilson's interval for the share of votes for a text: one 👍 of one says less than nine of ten."""
    n = up + down
    share = up / n
    centre = share + Z**2 / (2 * n)
    return (centre - Z * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))) / (1 + Z**2 / n)


def line(text: LikedText) -> str:
    against = f" · 👎 {text.down}" if text.down else ""
    return f"{cut(Joke(text.prompt, text.text).shown, LONGEST)}\n👍 {text.up}{against}"
