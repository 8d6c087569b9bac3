"""The Telegram bot: it answers each update before the webhook's request is answered.

python-telegram-bot is imported with the first update. Until then, and without a token, it costs neither time nor memory.
"""

from __future__ import annotations

from app.blind.comparison import read_comparison
from app.bot.updates import UpdateHandler, Updates
from app.engine.generation_queue import GenerationQueue
from app.errors import SettingError
from app.feedback.store import Store
from app.models import Models
from app.network import check_certificates, check_proxy
from app.settings import Settings


def open_updates(models: Models, queue: GenerationQueue, store: Store | None, settings: Settings) -> Updates | None:
    """The object that takes Telegram's updates, or None without TELEGRAM_TOKEN. Raises SettingError."""
    if not settings.telegram_token:
        if settings.compare:
            raise SettingError("COMPARE is for the Telegram bot: set TELEGRAM_TOKEN too, or leave COMPARE out.")
        return None
    check_proxy(settings.telegram_api_url, "httpx")
    check_certificates()
    comparison = read_comparison(settings.compare, models.names)

    def open_handler() -> UpdateHandler:
        from app.bot.dispatch import Dispatcher

        return Dispatcher(models, queue, store, settings, comparison)

    return Updates(open_handler, store.update_log if store else None)
