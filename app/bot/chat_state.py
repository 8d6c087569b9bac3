"""What is remembered of a chat: its settings and, in a conversation, what was said."""

from __future__ import annotations

import hashlib
import hmac
import logging

import msgspec

from app.feedback.store import Store

log = logging.getLogger(__name__)
TEMPERATURES = (0.5, 0.7, 0.9, 1.1)
LENGTHS = (50, 100, 200, 400)
# More than any window holds.
TURNS = 40
# Chats remembered where nothing is stored.
CHATS = 1000


class ChatState(msgspec.Struct):
    """`model` is None for the default one; `turns` alternate and a person's is first. `talking` is inside a conversation."""

    model: str | None = None
    temperature: float = 0.7
    length: int = 100
    talking: bool = False
    turns: list[str] = []


def pseudonym(key: bytes, number: int) -> str:
    """Tells people and chats apart, and tells nobody without the key who they are: a private chat has its person's id."""
    return hmac.new(key, str(number).encode(), hashlib.sha256).hexdigest()[:32]


class ChatStates:
    """In the store, or, where there is none, in memory: those that were active last, until the container sleeps."""

    def __init__(self, store: Store | None, key: bytes) -> None:
        self._store = store
        self._key = key
        self._kept: dict[str, bytes] = {}

    async def get(self, number: int) -> ChatState:
        name = pseudonym(self._key, number)
        state = await self._store.chat(name) if self._store else self._kept.get(name)
        try:
            return ChatState() if state is None else msgspec.json.decode(state, type=ChatState)
        except msgspec.DecodeError:
            log.warning("what was remembered of a chat cannot be read: it begins anew")
            return ChatState()

    async def keep(self, number: int, chat: ChatState) -> None:
        name = pseudonym(self._key, number)
        chat.turns = chat.turns[-TURNS:]
        state = msgspec.json.encode(chat)
        if self._store:
            await self._store.keep_chat(name, state)
            return
        self._kept.pop(name, None)
        self._kept[name] = state
        if len(self._kept) > CHATS:
            del self._kept[next(iter(self._kept))]
