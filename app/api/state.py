"""Objects that live as long as the server: models, queue, settings, stores.

A request reaches them as `request.state["queue"]` and so on.
"""

from __future__ import annotations

from collections import Counter
from typing import TypedDict

from app.api.access_log import RequestLabels
from app.api.keys import AccessControl
from app.api.refusals import RefusalPace
from app.blind.guessing_game import GuessingGame
from app.bot.updates import Updates
from app.engine.generation_queue import GenerationQueue
from app.feedback.store import Store
from app.models import Models
from app.settings import Settings


class State(TypedDict):
    """`feedback` is None without a store of votes, `game` without texts to guess, `updates` without a bot."""

    models: Models
    queue: GenerationQueue
    settings: Settings
    access: AccessControl
    request_counts: Counter[RequestLabels]
    refusals: RefusalPace
    feedback: Store | None
    game: GuessingGame | None
    updates: Updates | None
