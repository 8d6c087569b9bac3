"""What lives as long as the server, reachable from every request as `request.state[...]`."""

from __future__ import annotations

from collections import Counter
from typing import TypedDict

from app.api.access_log import Answered
from app.api.keys import AccessControl
from app.bot.updates import Updates
from app.engine.generation_queue import GenerationQueue
from app.feedback.store import Store
from app.models import Models
from app.settings import Settings


class State(TypedDict):
    models: Models
    queue: GenerationQueue
    settings: Settings
    answered: Counter[Answered]
    feedback: Store | None
    updates: Updates | None
    access: AccessControl
