"""The Telegram bot: it answers each update before the webhook's request is answered.

python-telegram-bot is imported with the first update. Until then, and without a token, it costs neither time nor memory.
"""

from __future__ import annotations

from app.blind.comparison import BlindComparison
from app.blind.guessing_game import GuessingGame
from app.bot.updates import UpdateHandler, Updates
from app.engine.generation_queue import GenerationQueue
from app.feedback.store import Store
from app.models import Models
from app.network import check_certificates, check_proxy
from app.settings import Settings


def open_updates(
    models: Models,
    queue: GenerationQueue,
    store: Store | None,
    settings: Settings,
    comparison: BlindComparison,
    game: GuessingGame | None,
) -> Updates | None:
    """The object that takes Telegram's updates, or None without TELEGRAM_TOKEN. Raises SettingError."""
    settings.require_a_bot_for_the_voice()
    if not settings.telegram_token:
        return None
    check_proxy(settings.telegram_api_url, "httpx")
    check_certificates()
    speech = None
    if settings.voice:
        # Missing programs stop the start, not the first press.
        from app.bot.speech import open_speech

        speech = open_speech(settings.voice)

    def open_handler() -> UpdateHandler:
        from app.bot.dispatch import Dispatcher

        return Dispatcher(models, queue, store, settings, comparison, game, speech)

    return Updates(open_handler, store.update_log if store else None)
