"""/play: people guess who wrote a text, a model or a person. Each guess is stored as a blind judgement."""

from __future__ import annotations

from telegram import CallbackQuery, Message

from app.blind.guessing_game import ROUND, GuessingGame, HiddenText
from app.bot.chat_state import ChatStates, GameRound
from app.bot.keyboard import guess_buttons, next_button
from app.bot.outbox import Outbox
from app.bot.strings import (
    EXPIRED_BUTTON,
    NO_GAME,
    NO_TEXT_TO_GUESS,
    PLAY_AGAIN,
    PLAY_NEXT,
    STORE_DOWN,
    score,
    to_guess,
    verdict,
)
from app.errors import NothingWritten, StoreError, UnknownText
from app.feedback.pseudonym import pseudonym
from app.feedback.store import Source, new_id

GUESSES: dict[str, Source] = {"guess_model": "model", "guess_human": "human"}


class Guessing:
    """Rounds of ten in private chats. In a group each text is for everybody, and only who guesses reads who wrote it."""

    def __init__(self, game: GuessingGame | None, chats: ChatStates, key: bytes) -> None:
        self._game = game
        self._chats = chats
        self._key = key

    async def begin(self, message: Message, outbox: Outbox) -> None:
        """Begin a round. Raises TelegramError, ModelNotLoaded, PromptTooLong, QueueUnavailable, StoreError."""
        await self.show_next(message, outbox, again=True)

    async def show_next(self, message: Message, outbox: Outbox, *, again: bool = False) -> None:
        """Show another text to guess. `again` begins another round."""
        if self._game is None:
            await outbox.send(message, NO_GAME)
            return
        chat = await self._chats.get(message.chat.id)
        current = chat.game
        if again or current.guessed >= ROUND:
            current.guessed = current.right = 0
        player = pseudonym(self._key, message.chat.id)
        try:
            hidden = await self._game.draw(new_id(), player, current.shown, "telegram")
        except NothingWritten:
            await outbox.send(message, NO_TEXT_TO_GUESS)
            return
        await outbox.send(message, self._shown(message, hidden, current), guess_buttons(hidden.id))
        current.shown += 1
        current.text = hidden.id
        await self._chats.keep(message.chat.id, chat)

    def _shown(self, message: Message, hidden: HiddenText, current: GameRound) -> str:
        number = current.guessed + 1 if is_private(message) else None
        return to_guess(hidden.question, hidden.text, number, ROUND)

    async def guess(
        self, query: CallbackQuery, message: Message | None, outbox: Outbox, action: str, text_id: str
    ) -> None:
        """Store a guess, then tell the person who wrote the text. `action` is one of GUESSES. Raises TelegramError."""
        if self._game is None or not text_id:
            await outbox.acknowledge(query, EXPIRED_BUTTON)
            return
        try:
            voter = pseudonym(self._key, query.from_user.id)
            judgement = await self._game.judge(text_id, voter, GUESSES[action], "telegram")
        except StoreError:
            await outbox.acknowledge(query, STORE_DOWN, alert=True)
        except UnknownText:
            await outbox.acknowledge(query, EXPIRED_BUTTON)
        else:
            said = verdict(judgement.right, judgement.source)
            alone = message is not None and is_private(message)
            await outbox.acknowledge(query, said, alert=not alone)
            if alone and message is not None:
                await self._count(message, outbox, text_id, said, right=judgement.right)

    async def _count(self, message: Message, outbox: Outbox, text_id: str, said: str, *, right: bool) -> None:
        """Show in a private chat who wrote the text, with the score at the end of a round. A second guess does not count."""
        chat = await self._chats.get(message.chat.id)
        current = chat.game
        if current.text != text_id:
            return
        current.text = ""
        current.guessed += 1
        current.right += right
        await self._chats.keep(message.chat.id, chat)
        over = current.guessed >= ROUND
        lines = [message.text or "", said, *([score(current.right, ROUND)] if over else [])]
        button = next_button("play", PLAY_AGAIN) if over else next_button("next", PLAY_NEXT)
        await outbox.edit(message.chat.id, message.message_id, "\n\n".join(lines), button)


def is_private(message: Message) -> bool:
    return message.chat.id > 0
