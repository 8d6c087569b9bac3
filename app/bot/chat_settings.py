"""A chat's settings: the commands /model and /settings, and the buttons that they show."""

from __future__ import annotations

from telegram import CallbackQuery, Message

from app.blind.comparison import BlindComparison
from app.bot.chat_state import ChatSampling, ChatState, ChatStates
from app.bot.keyboard import digest, model_buttons, settings_buttons
from app.bot.outbox import Outbox
from app.bot.strings import EXPIRED_BUTTON, MODEL_HIDDEN, MOODS, SIZES, STORE_DOWN, current_settings, model_question
from app.engine.profile import Profile
from app.errors import StoreError
from app.models import Models


class ChatSettings:
    """Shows and changes the model, temperature and length of a chat."""

    def __init__(self, chats: ChatStates, models: Models, comparison: BlindComparison) -> None:
        self._chats = chats
        self._models = models
        self._comparison = comparison

    async def show_models(self, message: Message, outbox: Outbox) -> None:
        """Send a button for each model, unless a blind comparison hides them. Raises TelegramError, StoreError."""
        if self._comparison:
            await outbox.send(message, MODEL_HIDDEN)
            return
        chosen = (await self._chats.get(message.chat.id)).model or self._models.default
        await outbox.send(message, model_question(self._profiles), model_buttons(self._profiles, chosen))

    async def show(self, message: Message, outbox: Outbox) -> None:
        """Send the temperature and the length with buttons to change them. Raises TelegramError, StoreError."""
        chosen = self._sampling(await self._chats.get(message.chat.id))
        await outbox.send(message, current_settings(chosen), settings_buttons(chosen))

    async def choose(self, query: CallbackQuery, message: Message, outbox: Outbox, action: str, value: str) -> None:
        """Set what a button names: a model, a temperature or a length. Raises TelegramError."""
        try:
            chat = await self._chats.get(message.chat.id)
            if not self._apply(chat, action, value):
                await outbox.acknowledge(query, EXPIRED_BUTTON)
                return
            await self._chats.keep(message.chat.id, chat)
        except StoreError:
            await outbox.acknowledge(query, STORE_DOWN, alert=True)
            return
        await outbox.acknowledge(query)
        if action == "model":
            await outbox.edit(
                message.chat.id,
                message.message_id,
                model_question(self._profiles),
                model_buttons(self._profiles, chat.model or ""),
            )
        else:
            chosen = self._sampling(chat)
            await outbox.edit(message.chat.id, message.message_id, current_settings(chosen), settings_buttons(chosen))

    @property
    def _profiles(self) -> dict[str, Profile]:
        return {name: self._models.get(name).profile for name in self._models.names}

    def _sampling(self, chat: ChatState) -> ChatSampling:
        """The chat's temperature and length, with the defaults of the model that writes for it."""
        model = chat.model if chat.model in self._models.names else None
        return chat.settings(self._models.get(model).profile.sampling)

    def _apply(self, chat: ChatState, action: str, value: str) -> bool:
        """Change the chat. Returns False if there is no such choice."""
        if action == "model" and not self._comparison:
            names = {digest(name): name for name in self._models.names}
            chat.model = names.get(value)
            return chat.model is not None
        if action == "temperature" and value in map("{:g}".format, MOODS):
            chat.temperature = float(value)
            return True
        if action == "length" and value in map(str, SIZES):
            chat.length = int(value)
            return True
        return False
