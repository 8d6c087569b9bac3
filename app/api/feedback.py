"""`POST /feedback`: a vote on a text. It is stored before it is acknowledged.

A text's id is a hash of its model, prefix and text, so that all votes on the same text are counted together.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.api.state import State
from app.api.store_errors import storing
from app.api.telegram_user import voter_of
from app.api.validation import read_fields
from app.errors import NotFound
from app.feedback.store import ShownText, Vote
from app.feedback.vote_clock import VOTE_CLOCK


class FeedbackRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`/feedback`."""

    vote: Annotated[Literal["up", "down"], Meta(description="`up` or `down`")]
    text: Annotated[str, Meta(min_length=1, max_length=100_000, description="the text as it was shown")]
    prefix: Annotated[str, Meta(max_length=100_000, description="the prompt or the message before it")] = ""
    model: Annotated[str | None, Meta(description="the model that generated it; the default model if left out")] = None
    voter: Annotated[
        Annotated[str, Meta(min_length=1, max_length=64)] | None,
        Meta(description="a name for the person, the same for all of their votes"),
    ] = None


async def feedback(request: Request[State]) -> Response:
    store = request.state["feedback"]
    if store is None:
        raise NotFound("this service stores no votes: set FEEDBACK to the address of a store.", code="feedback_off")
    fields = await read_fields(request, FeedbackRequest, '{"vote": "up", "text": "…"}')
    fields = msgspec.structs.replace(fields, voter=voter_of(request, fields.voter))
    text, vote = text_and_vote(fields, request.state["models"].get(fields.model).name, VOTE_CLOCK.now())
    async with storing():
        await store.add_text(text)
        await store.vote(vote)
    return JSONResponse({"id": text.id, "vote": fields.vote})


def text_and_vote(fields: FeedbackRequest, model: str, now: datetime) -> tuple[ShownText, Vote]:
    """The text and the vote on it. All votes on a text without a voter count as one vote, the latest."""
    text = ShownText(
        id=id_of(model, fields.prefix, fields.text),
        text=fields.text,
        prompt=fields.prefix,
        generated_by=model,
        source="model",
        channel="web",
        created=now,
    )
    value: Literal[1, -1] = 1 if fields.vote == "up" else -1
    return text, Vote(text_id=text.id, voter=fields.voter or text.id, value=value, channel="web", at=now)


def id_of(model: str, prefix: str, text: str) -> str:
    digest = hashlib.blake2b(msgspec.json.encode([model, prefix, text]), digest_size=16).digest()
    return urlsafe_b64encode(digest).decode().rstrip("=")
