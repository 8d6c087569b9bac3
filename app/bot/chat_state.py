"""What the bot remembers of each chat: its settings and, during a conversation, its turns."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import accumulate
from typing import Literal, NamedTuple

import msgspec

from app.engine.profile import SamplingDefaults
from app.feedback.pseudonym import pseudonym
from app.feedback.store import Store

# What the button for another text asks for: another joke, or another answer to the same message.
AnotherAction = Literal["joke", "again"]
log = logging.getLogger(__name__)
DEFAULT_LENGTH = 100
# Characters kept of a conversation: more than any model's window holds.
CHARACTERS = 2**15
# Answers of a chat that are remembered: an edited question or a reaction changes or counts for no older ones.
ANSWERS = 30
# Chats kept in memory when there is no store.
CHATS = 1000


class ChatSampling(NamedTuple):
    """The temperature, and the maximum number of new tokens."""

    temperature: float
    length: int


class AnsweredMessage(msgspec.Struct, kw_only=True, array_like=True):
    """A text that the bot sent. `message` and `question` are ids of messages, `text` is the text's id in the store.

    `digest` tells what the question asked for, `another` is what the button for another text asks for. `talking` is set if it
    is a turn of the chat's present conversation.
    """

    text: str
    question: int
    digest: str
    another: AnotherAction
    talking: bool
    message: int = 0


class GameRound(msgspec.Struct, omit_defaults=True):
    """The game of guessing in a chat: texts `shown` ever, this round's guesses, how many are `right`, and the text to guess."""

    shown: int = 0
    guessed: int = 0
    right: int = 0
    text: str = ""


class ChatState(msgspec.Struct, omit_defaults=True):
    """What nobody has chosen is None: the default model, and that model's own temperature and length.

    `talking` is set during a conversation, whose `turns` alternate, a person's first. `heard` is when a person took the last
    turn, in seconds since 1970. `answers` are the newest ones, oldest first. `told_of_letters`: the chat knows
    that the model cannot read its letters.
    """

    model: str | None = None
    temperature: float | None = None
    length: int | None = None
    talking: bool = False
    turns: list[str] = []
    heard: int = 0
    answers: list[AnsweredMessage] = []
    told_of_letters: bool = False
    game: GameRound = msgspec.field(default_factory=GameRound)

    def begin_conversation(self, *, talking: bool) -> None:
        """Forget what was said. `talking` says whether another conversation begins."""
        self.talking, self.turns, self.heard = talking, [], 0
        for answer in self.answers:
            answer.talking = False

    def is_silent(self, now: float, seconds: float) -> bool:
        """Whether nobody has said anything in the conversation for more than `seconds`."""
        return bool(self.talking and self.turns and self.heard and now - self.heard > seconds)

    def remember(self, answer: AnsweredMessage) -> None:
        self.answers = [*self.answers, answer][-ANSWERS:]

    def answer_to(self, question: int) -> AnsweredMessage | None:
        """The latest answer to the message with this id."""
        return next((answer for answer in reversed(self.answers) if answer.question == question), None)

    def answer_in(self, message: int) -> AnsweredMessage | None:
        """What the bot wrote in the message with this id."""
        return next((answer for answer in reversed(self.answers) if answer.message == message), None)

    def turn_of(self, answer: AnsweredMessage) -> int | None:
        """Where in `turns` the answer's question is. None if it is not part of the conversation."""
        if not (self.talking and answer.talking):
            return None
        since = self.answers[self.answers.index(answer) :]
        # Another answer to the same message takes the place of the one before.
        later = len({each.question for each in since if each.talking})
        place = len(self.turns) - 2 * later
        return place if place >= 0 else None

    def settings(self, defaults: SamplingDefaults) -> ChatSampling:
        """What the chat has chosen, else the defaults of the model that writes, else the bot's."""
        temperature = defaults.sampling({"temperature": self.temperature}).temperature
        return ChatSampling(temperature, self.length or defaults.length or DEFAULT_LENGTH)


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
