"""Who may ask the bot, and how often: TELEGRAM_ALLOW and TELEGRAM_RATE."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Literal

from telegram import Message
from telegram.error import BadRequest, InvalidToken, NetworkError

from app.errors import QueueUnavailable
from app.rate_limit import RateLimiter

# What is counted: texts that a model writes, and everything else that the bot answers, such as commands and votes.
Kind = Literal["text", "command"]
# After these errors, except a BadRequest, which the library counts among them, an update is sent again.
SENT_AGAIN = (InvalidToken, NetworkError, QueueUnavailable)
# How often a minute somebody is told that they may not ask, or not now. More messages than that are not answered.
NOTICES = 3


class Allowance:
    """Counts for each author: a person, or the group or channel in whose name somebody writes."""

    def __init__(self, allowed: AbstractSet[int], per_minute: int) -> None:
        self._allowed = allowed
        self._limiters = {"text": RateLimiter(per_minute), "command": RateLimiter(per_minute)}
        self._notices = RateLimiter(NOTICES)

    def may_ask(self, author: int, chat: int) -> bool:
        return not self._allowed or author in self._allowed or chat in self._allowed

    def seconds_until_allowed(self, kind: Kind, author: int) -> int:
        """Whole seconds until the author may ask for the next one, 0 for now."""
        return self._limiters[kind].seconds_until_allowed(author)

    def permits(self, kind: Kind, author: int, chat: int) -> bool:
        """Whether the author may ask for the next one now. For what is refused without a word."""
        return self.may_ask(author, chat) and not self.seconds_until_allowed(kind, author)

    @contextmanager
    def counting(self, kind: Kind, author: int, times: int = 1) -> Iterator[None]:
        """Count what is done in the block, as `times` of its kind, unless it fails such that Telegram will send its update again.

        It is counted when it begins, since an author may write in several chats at the same time.
        """
        for _ in range(times):
            self._limiters[kind].count(author)
        try:
            yield
        except SENT_AGAIN as error:
            if not isinstance(error, BadRequest):
                for _ in range(times):
                    self._limiters[kind].take_back(author)
            raise

    def takes_notice(self, author: int) -> bool:
        """Whether to tell the author of a refusal. Counts it if so."""
        if self._notices.seconds_until_allowed(author):
            return False
        self._notices.count(author)
        return True


def author_of(message: Message) -> int:
    """The id of the channel or group in whose name somebody wrote, or else of the person.

    All anonymous administrators share one account of Telegram's, and so do all channels that write in groups.
    """
    return (message.sender_chat or message.from_user or message.chat).id
