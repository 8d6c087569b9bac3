"""The Telegram bot: an update comes in at POST /telegram, and the answer has gone out before that request is answered.

python-telegram-bot is imported with the first update, so that neither the start nor whoever wants no bot pays for it.
"""

from __future__ import annotations

from app.bot.comparison import read_comparison
from app.bot.updates import Handler, Updates
from app.engine.generation_queue import GenerationQueue
from app.errors import SettingError
from app.feedback.store import Store
from app.models import Models
from app.settings import Settings


def open_updates(models: Models, queue: GenerationQueue, store: Store | None, settings: Settings) -> Updates | None:
    """What takes the updates, or None where there is no bot. Raises SettingError."""
    if not settings.telegram_token:
        if settings.compare:
            raise SettingError("COMPARE is for the Telegram bot: set TELEGRAM_TOKEN too, or leave COMPARE out.")
        return None
    comparison = read_comparison(settings.compare, models.names)

    def open_bot() -> Handler:
        from app.bot.bot import Bot

        return Bot(models, queue, store, settings, comparison)

    return Updates(open_bot, store)
