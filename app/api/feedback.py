"""`POST /feedback`: a vote on a text, kept before it is acknowledged.

The text's id is made of its model, prefix and text, so that whoever is shown the same text votes on the same text.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.api.body import read_object
from app.api.schemas import FeedbackRequest, validate
from app.api.state import State
from app.errors import NotFound
from app.feedback.store import ShownText, Vote


async def feedback(request: Request[State]) -> Response:
    store = request.state["feedback"]
    if store is None:
        raise NotFound("votes are not kept here: set FEEDBACK to where they should be.", code="feedback_off")
    asked = validate(await read_object(request, example='{"vote": "up", "text": "…"}'), FeedbackRequest)
    text, vote = understand(asked, request.state["models"].known(asked.model), datetime.now(UTC))
    await store.add_text(text)
    await store.vote(vote)
    return JSONResponse({"id": text.id, "vote": asked.vote})


def understand(asked: FeedbackRequest, model: str, now: datetime) -> tuple[ShownText, Vote]:
    """The text and the vote on it. Those who do not say who they are share one vote a text, which the last of them has."""
    text = ShownText(
        id=id_of(model, asked.prefix, asked.text),
        text=asked.text,
        prompt=asked.prefix,
        generated_by=model,
        source="model",
        channel="web",
        created=now,
    )
    value: Literal[1, -1] = 1 if asked.vote == "up" else -1
    return text, Vote(text_id=text.id, voter=asked.voter or text.id, value=value, channel="web", at=now)


def id_of(model: str, prefix: str, text: str) -> str:
    digest = hashlib.blake2b(msgspec.json.encode([model, prefix, text]), digest_size=16).digest()
    return urlsafe_b64encode(digest).decode().rstrip("=")
