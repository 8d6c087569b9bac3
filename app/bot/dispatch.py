"""Dispatch: hands each message and each press of a button to what answers it, and turns errors into messages."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from telegram import Message, MessageReactionUpdated, Update
from telegram.constants import ChatType
from telegram.error import BadRequest, TelegramError

from app.blind.comparison import BlindComparison
from app.blind.guessing_game import GuessingGame
from app.bot.address import AddressedText, AddressReader
from app.bot.allowance import SENT_AGAIN, Allowance, Kind, author_of
from app.bot.answers import Answers
from app.bot.button_presses import ButtonPresses
from app.bot.chat_commands import ChatCommands
from app.bot.chat_settings import ChatSettings
from app.bot.chat_state import ChatStates
from app.bot.client import explain_failure, open_client
from app.bot.composer import Composer
from app.bot.duet import TURNS, Duets
from app.bot.guessing import Guessing
from app.bot.inline_mode import InlineMode
from app.bot.languages import offered
from app.bot.model_writer import ModelWriter
from app.bot.offered_texts import OfferedTexts
from app.bot.outbox import Outbox
from app.bot.reactions import Reactions
from app.bot.speech import Speech
from app.bot.strings import (
    INTERNAL_ERROR,
    NO_PICTURES,
    NO_SOUND,
    NO_STICKERS,
    ONLY_TEXT,
    explain,
    not_allowed,
    unknown_command,
    wait_please,
)
from app.bot.top_texts import TopTexts
from app.bot.updates import UpdateContext
from app.bot.vote_buttons import VoteButtons
from app.engine.generation_queue import GenerationQueue
from app.errors import QueueUnavailable, Undelivered
from app.feedback.store import Store
from app.models import Models
from app.settings import Settings

log = logging.getLogger(__name__)
# Commands for which a model writes.
WRITING_COMMANDS = ("", "joke", "play", "duet")
Command = Callable[[Message, Outbox], Awaitable[None]]


class Dispatcher:
    """Answers updates: the UpdateHandler of app.bot.updates."""

    def __init__(
        self,
        models: Models,
        queue: GenerationQueue,
        store: Store | None,
        settings: Settings,
        comparison: BlindComparison,
        game: GuessingGame | None,
        speech: Speech | None,
    ) -> None:
        key = settings.telegram_token.encode()
        chats = ChatStates(store, key)
        writer = ModelWriter(models, queue, settings.max_length)
        composer = Composer(writer, models.default, comparison)
        two_models = len(models.names) > 1 and not comparison
        known = offered(votes=store is not None, two_models=two_models, game=game is not None)
        commands = ChatCommands(chats, None if comparison else models.get().profile, store, known)
        self._client = open_client(settings)
        self._reader = AddressReader(settings.telegram_token)
        self._settings = settings
        guessing = Guessing(game, chats, key)
        self._duets = Duets(writer, models, chats, comparison)
        self._allowance = Allowance(settings.telegram_allowed, settings.telegram_rate)
        texts = OfferedTexts(store)
        self._votes = VoteButtons(store, key, texts, blind=bool(comparison))
        self._inline = InlineMode(
            composer, texts, self._allowance, votes=store is not None, personal=bool(settings.telegram_allowed)
        )
        self._reactions = Reactions(chats, self._votes, aloud=speech is not None)
        self._answers = Answers(composer, chats, store, self._votes.replaced, aloud=speech is not None)
        self._chat_settings = ChatSettings(chats, models, comparison)
        self._presses = ButtonPresses(
            self._reader, self._allowance, self._votes, guessing, self._answers, self._duets, self._chat_settings, commands,
            models.get().profile.beginnings,
            speech,
        )  # fmt: skip
        self._commands: dict[str, Command] = {
            "start": commands.start,
            "help": commands.help,
            "chat": commands.start_conversation,
            "reset": commands.end_conversation,
            "play": guessing.begin,
            "top": TopTexts(store, blind=bool(comparison)).show,
            "stats": commands.stats,
            "model": self._chat_settings.show_models,
            "settings": self._chat_settings.show,
        }

    async def close(self) -> None:
        await self._client.request.shutdown()

    async def handle(self, update: dict[str, Any], context: UpdateContext) -> None:
        """Answer the update. Raises Undelivered or QueueUnavailable if nothing was sent and trying again later can help."""
        try:
            parsed = Update.de_json(update, self._client)
        except Exception as error:  # The library checks nothing, so anything can be raised.
            log.warning("ignored a malformed update (%s)", type(error).__name__)
            return
        try:
            await self._dispatch(parsed, Outbox(self._client, context))
        except BadRequest:
            log.warning("Telegram refused an answer")
        except SENT_AGAIN as error:
            if context.answered:
                log.warning("only a part of an answer was sent (%s)", type(error).__name__)
            elif isinstance(error, QueueUnavailable):
                raise
            else:
                log.warning("an update is to be sent again: %s", explain_failure(error, self._settings))
                raise Undelivered("Telegram cannot be reached: send the update again.") from error
        except TelegramError as error:
            # The bot was blocked, removed from the group, and so on.
            log.info("an answer could not be sent (%s)", type(error).__name__)

    async def _dispatch(self, update: Update, outbox: Outbox) -> None:
        query, message = update.callback_query, update.message
        if query is not None:
            message = query.message if isinstance(query.message, Message) and query.message.is_accessible else None
        try:
            if query is not None:
                await self._presses.obey(query, message, outbox)
            elif message is not None:
                await self._hear(message, outbox)
            elif update.edited_message is not None:
                message = update.edited_message
                await self._hear_edited(message, outbox)
            elif update.message_reaction is not None:
                await self._see_reaction(update.message_reaction, outbox)
            elif update.inline_query is not None:
                await self._inline.answer(update.inline_query, update.update_id, outbox)
            elif update.chosen_inline_result is not None:
                await self._inline.keep_chosen(update.chosen_inline_result)
        except (TelegramError, QueueUnavailable):
            raise
        except Exception as error:
            said = explain(error) or internal_error(error)
            if message is not None:
                await outbox.send(message, said)
            elif query is not None:
                await outbox.acknowledge(query, said, alert=True)

    async def _hear_edited(self, message: Message, outbox: Outbox) -> None:
        """Somebody edited a message. If it was answered, the answer is written anew."""
        asked = await self._reader.read(message, outbox)
        if asked is None or not asked.wants_text or not self._allowance.may_ask(author_of(message), message.chat.id):
            return
        edited = await self._answers.find_edited(message, asked)
        author = author_of(message)
        if edited is None:
            return
        if seconds := self._allowance.seconds_until_allowed("text", author):
            if self._allowance.takes_notice(author):
                await outbox.send(message, wait_please(seconds))
        else:
            with self._allowance.counting("text", author):
                await self._answers.rewrite(message, edited, outbox)

    async def _see_reaction(self, reaction: MessageReactionUpdated, outbox: Outbox) -> None:
        """Somebody reacted to a message. Who is anonymous votes in the name of their chat."""
        voter = reaction.actor_chat or reaction.user
        if voter is not None and self._allowance.permits("command", voter.id, reaction.chat.id):
            with self._allowance.counting("command", voter.id):
                await self._reactions.count(reaction, voter.id, outbox)

    async def _hear(self, message: Message, outbox: Outbox) -> None:
        """Somebody wrote a message."""
        addressed = await self._reader.read(message, outbox)
        private = message.chat.type == ChatType.PRIVATE
        if addressed is None and not (private and is_unreadable(message)):
            return
        author = author_of(message)
        kind = kind_of(addressed)
        if not self._allowance.may_ask(author, message.chat.id):
            if private and self._allowance.takes_notice(author):
                await outbox.send(message, not_allowed(author))
        elif seconds := self._allowance.seconds_until_allowed(kind, author):
            if self._allowance.takes_notice(author):
                await outbox.send(message, wait_please(seconds))
        else:
            times = TURNS if addressed and addressed.command == "duet" else 1
            with self._allowance.counting(kind, author, times):
                await self._answer(message, addressed, outbox)

    async def _answer(self, message: Message, addressed: AddressedText | None, outbox: Outbox) -> None:
        """Do what a message asks for. `addressed` is None for one that the bot cannot read."""
        if addressed is None:
            await outbox.send(message, only_text(message))
        elif command := self._commands.get(addressed.command):
            await command(message, outbox)
        elif addressed.wants_text:
            await self._answers.write(message, addressed, outbox)
        elif addressed.command == "duet":
            await self._duets.perform(message, addressed.text, outbox)
        else:
            await outbox.send(message, unknown_command(addressed.command))


def kind_of(addressed: AddressedText | None) -> Kind:
    return "text" if addressed is not None and addressed.command in WRITING_COMMANDS else "command"


def internal_error(error: Exception) -> str:
    """Log the error, and return what to say about it."""
    log.error("an update could not be answered", exc_info=error)
    return INTERNAL_ERROR


def only_text(message: Message) -> str:
    """What to say to a message without a text, depending on what it shows."""
    if message.photo or message.video or message.animation:
        return NO_PICTURES
    if message.voice or message.audio or message.video_note:
        return NO_SOUND
    return NO_STICKERS if message.sticker else ONLY_TEXT


def is_unreadable(message: Message) -> bool:
    """Whether a message shows something that has no text.

    Of an album, only one part has the text, so the others are none to complain about. Neither is news of a chat, such as its
    new title.
    """
    return bool(message.effective_attachment) and message.media_group_id is None
