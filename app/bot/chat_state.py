"""What the bot remembers of each chat: its settings and, during a conversation, its turns."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import msgspec

from app.engine.profile import SamplingDefaults
from app.feedback.store import Store

log = logging.getLogger(__name__)
DEFAULT_LENGTH = 100
# Characters kept of a conversation: more than any model's window holds.
CHARACTERS = 2**15
# Chats kept in memory when there is no store.
CHATS = 1000


class ChatSampling(NamedTuple):
    """The temperature, and the maximum number of new tokens."""

    temperature: float
    length: int


class ChatState(msgspec.Struct):
    """What nobody has chosen is None: the default model, and that model's own temperature and length.

    `talking` is set during a conversation, whose `turns` alternate, a person's first.
    """

    model: str | None = None
    temperature: float | None = None
    length: int | None = None
    talking: bool = False
    turns: list[str] = []

    def settings(self, defaults: SamplingDefaults) -> ChatSampling:
        """What the chat has chosen, else the defaults of the model that writes, else the bot's."""
        temperature = defaults.sampling({"temperature": self.temperature}).temperature
        return ChatSampling(temperature, self.length or defaults.length or DEFAULT_LENGTH)


def pseudonym(key: bytes, telegram_id: int) -> str:
    """A name for a person or chat that hides its Telegram id from everybody without the key (HMAC-SHA-256)."""
    return hmac.new(key, str(telegram_id).encode(), hashlib.sha256).hexdigest()[:32]


class ChatStates:
    """Chat states in the store. Without one they are in memory: the last thousand chats that changed something."""

    def __init__(self, store: Store | None, key: bytes) -> None:
        self._store = store
        self._key = key
        self._in_memory: dict[str, bytes] = {}

    async def get(self, chat_id: int) -> ChatState:
        """The chat's state, or a new one. Raises StoreError."""
        name = pseudonym(self._key, chat_id)
        state = await self._store.chat(name) if self._store else self._in_memory.get(name)
        try:
            return ChatState() if state is None else msgspec.json.decode(state, type=ChatState)
        except msgspec.DecodeError:
            log.warning("the stored state of a chat is unreadable: the chat starts with the defaults")
            return ChatState()

    async def keep(self, chat_id: int, chat: ChatState) -> None:
        """Remember the chat's state, with its newest turns. Raises StoreError."""
        name = pseudonym(self._key, chat_id)
        chat.turns = newest_turns(chat.turns)
        state = msgspec.json.encode(chat)
        if self._store:
            await self._store.keep_chat(name, state)
            return
        self._in_memory.pop(name, None)
        self._in_memory[name] = state
        if len(self._in_memory) > CHATS:
            del self._in_memory[next(iter(self._in_memory))]


def newest_turns(turns: Sequence[str]) -> list[str]:
    """The newest turns of up to CHARACTERS characters, in pairs of a person's turn and its answer."""
    pairs = list(zip(turns[::2], turns[1::2], strict=False))
    lengths = accumulate(len(question) + len(answer) for question, answer in reversed(pairs))
    kept = sum(length <= CHARACTERS for length in lengths)
    return list(turns[len(turns) - 2 * kept :])
