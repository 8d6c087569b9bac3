"""The bot: what each message and each press of a button leads to, and what becomes of what goes wrong."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Literal

from telegram import CallbackQuery, InlineKeyboardMarkup, LinkPreviewOptions, Message, Update
from telegram.constants import ChatType
from telegram.error import BadRequest, InvalidToken, NetworkError, RetryAfter, TelegramError

from app.bot.address import Address, Said
from app.bot.chat_state import LENGTHS, TEMPERATURES, ChatState, ChatStates, pseudonym
from app.bot.client import open_client
from app.bot.comparison import Comparison, Contender
from app.bot.drafts import progress
from app.bot.keyboard import digest, of_models, of_settings, under_text
from app.bot.message_limits import THANKS, Joke
from app.bot.strings import (
    COUNTED,
    GONE,
    NOTHING,
    OLD_BUTTON,
    STORE_DOWN,
    UNREADABLE,
    VOTE_LOST,
    describe,
    enough,
    explain,
    overview,
    refusal,
)
from app.bot.updates import handling
from app.bot.writing import Writer
from app.engine.generation_queue import GenerationQueue
from app.errors import NotFound, QueueUnavailable, StoreError, Undelivered
from app.feedback.store import ShownText, Source, Store, Vote, new_id
from app.models import Models
from app.rate_limit import RateLimiter
from app.settings import Settings

log = logging.getLogger(__name__)
VALUES: dict[str, Literal[1, -1]] = {"up": 1, "down": -1}
# The longest that people's texts are held back to look like a model's.
LONGEST_PACE = 10.0


class Bot:
    def __init__(
        self, models: Models, queue: GenerationQueue, store: Store | None, settings: Settings, comparison: Comparison
    ) -> None:
        self._models = models
        self._store = store
        self._comparison = comparison
        self._key = settings.telegram_token.encode()
        self._allowed = settings.telegram_allowed
        self._client = open_client(settings)
        self._address = Address(self._client)
        self._writer = Writer(models, queue, settings.max_length)
        self._chats = ChatStates(store, self._key)
        self._limiter = RateLimiter(settings.telegram_rate)
        # Seconds that a model took of late.
        self._pace = 0.0
        self._commands: dict[str, Callable[[Message], Awaitable[None]]] = {
            "start": self._help,
            "help": self._help,
            "chat": self._talk,
            "reset": self._reset,
            "model": self._show_models,
            "settings": self._show_settings,
            "stats": self._stats,
        }

    async def close(self) -> None:
        await self._client.request.shutdown()

    async def handle(self, update: dict[str, Any]) -> None:
        """Answer an update, as app.bot.updates.Handler says."""
        try:
            understood = Update.de_json(update, self._client)
        except Exception as error:  # Whatever the library stumbles over.
            log.warning("an update is malformed (%s)", type(error).__name__)
            return
        try:
            await self._answer(understood)
        except BadRequest:
            log.warning("Telegram refused an answer")
        except (InvalidToken, NetworkError, RetryAfter, QueueUnavailable) as error:
            if not handling.get().answered:
                if isinstance(error, QueueUnavailable):
                    raise
                raise Undelivered("Telegram cannot be reached: the update should be sent again.") from error
            log.warning("an answer was begun and could not be finished (%s)", type(error).__name__)
        except TelegramError as error:
            # The bot was blocked, put out of the group, and the like.
            log.info("an answer is not wanted (%s)", type(error).__name__)

    async def _answer(self, update: Update) -> None:
        query, message = update.callback_query, update.message
        if query is not None:
            message = query.message if isinstance(query.message, Message) and query.message.is_accessible else None
        try:
            if query is not None:
                await self._press(query, message)
            elif message is not None:
                await self._hear(message)
        except (TelegramError, QueueUnavailable):
            raise
        except Exception as error:
            if message is None:
                raise
            await self._say(message, explain(error))

    async def _hear(self, message: Message) -> None:
        said = await self._address.read(message)
        private = message.chat.type == ChatType.PRIVATE
        if said is None:
            if private and message.effective_attachment:
                await self._say(message, UNREADABLE)
            return
        person = person_of(message)
        if not self._may(person, message.chat.id):
            if private:
                await self._say(message, refusal(person))
            return
        if command := self._commands.get(said.command):
            await command(message)
        elif said.command not in ("", "joke"):
            await self._say(message, f"I don't know /{said.command}. {overview()}")
        elif wait := self._limiter.seconds_until_allowed(person):
            await self._say(message, enough(wait))
        else:
            await self._write(message, said)
            self._limiter.count(person)

    async def _press(self, query: CallbackQuery, message: Message | None) -> None:
        """Whatever it is, Telegram waits for a sign that the press was noticed."""
        action, _, value = (query.data or "").partition(":")
        person = query.from_user.id
        if not self._may(person, message.chat.id if message else person):
            await notice(query, refusal(person))
        elif action in VALUES:
            await self._vote(query, message, value, action)
        elif message is None:
            await notice(query, OLD_BUTTON)
        elif action in ("joke", "again"):
            await self._another(query, message, action)
        else:
            await self._choose(query, message, action, value)

    def _may(self, person: int, chat: int) -> bool:
        return not self._allowed or person in self._allowed or chat in self._allowed

    # Texts.

    async def _another(self, query: CallbackQuery, message: Message, action: str) -> None:
        earlier = message.reply_to_message
        if action == "again" and earlier is None:
            await notice(query, GONE)
        elif wait := self._limiter.seconds_until_allowed(query.from_user.id):
            await notice(query, enough(wait))
        else:
            await notice(query)
            said = Said("joke", "") if earlier is None else await self._address.read(earlier, meant=True)
            await self._write(earlier or message, said or Said("joke", ""), again=True)
            self._limiter.count(query.from_user.id)

    async def _write(self, message: Message, said: Said, *, again: bool = False) -> None:
        """A joke, or an answer to what was said. `again` takes back the answer before, if that is where the conversation is."""
        chat = await self._chats.get(message.chat.id)
        if again and chat.turns[-2:-1] == [said.text]:
            del chat.turns[-2:]
        if said.text.strip():
            await self._reply(message, said.text, chat)
        else:
            await self._joke(message, chat)

    async def _joke(self, message: Message, chat: ChatState) -> None:
        teller = self._comparison.pick() if self._comparison else Contender(chat.model or self._models.default)
        began = time.monotonic()
        async with progress(message, drafts=not self._comparison) as shown:
            if teller.jokes:
                # At once would tell who it is.
                await asyncio.sleep(self._pace)
                joke = random.choice(teller.jokes)
            else:
                joke = await self._writer.joke(teller.name, chat, shown.grow)
                self._pace = min(time.monotonic() - began, LONGEST_PACE)
        await self._post(message, joke, teller.name, chat, "human" if teller.jokes else "model", "joke")

    async def _reply(self, message: Message, text: str, chat: ChatState) -> None:
        turns = [*chat.turns, text] if chat.talking else [text]
        model = (self._comparison.pick_model() if self._comparison else chat.model) or self._models.default
        async with progress(message, drafts=not self._comparison) as shown:
            answer = await self._writer.answer(model, turns, chat, shown.grow)
        await self._post(message, Joke(text, answer), model, chat, "model", "again")
        if chat.talking and answer:
            chat.turns = [*turns, answer]
            await self._chats.keep(message.chat.id, chat)

    async def _post(
        self, message: Message, joke: Joke, name: str, chat: ChatState, source: Source, again: Literal["joke", "again"]
    ) -> None:
        """Show a text, once it is kept: a vote on it may come in the next moment."""
        if not joke.answer:
            await self._say(message, NOTHING)
            return
        text = ShownText(
            id=new_id(),
            text=joke.answer,
            prompt=joke.question,
            generated_by=name,
            source=source,
            channel="telegram",
            created=datetime.now(UTC),
            settings={"temperature": chat.temperature, "length": chat.length} if source == "model" else {},
        )
        if self._store:
            await self._store.add_text(text)
        shown = joke if again == "joke" else Joke("", joke.answer)
        await self._say(
            message, shown.shown, under_text(text.id if self._store else None, again), quote=again == "again"
        )

    async def _vote(self, query: CallbackQuery, message: Message | None, text_id: str, action: str) -> None:
        if self._store is None or not text_id:
            await notice(query, OLD_BUTTON)
            return
        vote = Vote(
            text_id=text_id,
            voter=pseudonym(self._key, query.from_user.id),
            value=VALUES[action],
            channel="telegram",
            at=datetime.now(UTC),
        )
        try:
            await self._store.vote(vote)
        except StoreError:
            await notice(query, VOTE_LOST, alert=True)
            return
        except NotFound:
            await notice(query, OLD_BUTTON)
            return
        await notice(query, COUNTED[action])
        if message and message.text and not message.text.endswith(THANKS.strip()):
            await edit(message, message.text + THANKS, message.reply_markup)

    # Commands.

    async def _help(self, message: Message) -> None:
        await self._say(message, overview())

    async def _talk(self, message: Message) -> None:
        chat = await self._chats.get(message.chat.id)
        chat.talking, chat.turns = True, []
        await self._chats.keep(message.chat.id, chat)
        await self._say(message, "From now on I remember what we say. /reset ends it.")

    async def _reset(self, message: Message) -> None:
        chat = await self._chats.get(message.chat.id)
        chat.talking, chat.turns = False, []
        await self._chats.keep(message.chat.id, chat)
        await self._say(message, "Forgotten. Each message stands for itself again.")

    async def _show_models(self, message: Message) -> None:
        if self._comparison:
            await self._say(message, "Who writes is left to chance here, so that votes are fair.")
            return
        chosen = (await self._chats.get(message.chat.id)).model or self._models.default
        await self._say(message, "Who should write?", of_models(self._models.names, chosen))

    async def _show_settings(self, message: Message) -> None:
        chat = await self._chats.get(message.chat.id)
        await self._say(message, describe(chat), of_settings(chat))

    async def _stats(self, message: Message) -> None:
        if self._store is None:
            await self._say(message, "Votes are not kept here.")
            return
        lines = [
            f"{each.generated_by}: 👍 {each.up}, 👎 {each.down}, texts {each.texts}"
            for each in await self._store.tally()
        ]
        await self._say(message, "\n".join(lines) or "Nothing has been written yet.")

    async def _choose(self, query: CallbackQuery, message: Message, action: str, value: str) -> None:
        """A model, a temperature or a length."""
        try:
            chat = await self._chats.get(message.chat.id)
            if not self._apply(chat, action, value):
                await notice(query, OLD_BUTTON)
                return
            await self._chats.keep(message.chat.id, chat)
        except StoreError:
            await notice(query, STORE_DOWN, alert=True)
            return
        await notice(query)
        if action == "model":
            await edit(message, message.text or "", of_models(self._models.names, chat.model or ""))
        else:
            await edit(message, describe(chat), of_settings(chat))

    def _apply(self, chat: ChatState, action: str, value: str) -> bool:
        """Whether there is such a thing to choose."""
        if action == "model" and not self._comparison:
            names = {digest(name): name for name in self._models.names}
            chat.model = names.get(value)
            return chat.model is not None
        if action == "temperature" and value in map("{:g}".format, TEMPERATURES):
            chat.temperature = float(value)
            return True
        if action == "length" and value in map(str, LENGTHS):
            chat.length = int(value)
            return True
        return False

    async def _say(
        self, message: Message, text: str, buttons: InlineKeyboardMarkup | None = None, *, quote: bool = False
    ) -> None:
        """Without a parse mode: whatever a model writes is shown as it is."""
        await message.reply_text(
            text,
            reply_markup=buttons,
            do_quote=quote,
            allow_sending_without_reply=True,
            link_preview_options=LinkPreviewOptions(is_disabled=True),
        )


async def notice(query: CallbackQuery, text: str | None = None, *, alert: bool = False) -> None:
    """Tell who pressed, unless that was too long ago for Telegram."""
    try:
        await query.answer(text, show_alert=alert)
    except BadRequest:
        log.info("a press of a button was answered too late")


async def edit(message: Message, text: str, buttons: InlineKeyboardMarkup | None) -> None:
    try:
        await message.edit_text(text, reply_markup=buttons, link_preview_options=LinkPreviewOptions(is_disabled=True))
    except BadRequest:
        # It says that already, or is gone.
        log.debug("a message was not edited")


def person_of(message: Message) -> int:
    """Who wrote: a person, or a channel or group in whose name somebody did."""
    return message.from_user.id if message.from_user else message.chat.id
