"""`/v1/models` and `/v1/models/NAME`: the served models, as OpenAI lists them."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response

from app.api.msgspec_response import MsgspecResponse
from app.api.openai_replies import Model, ModelList
from app.api.served_profile import profile_of
from app.api.state import State
from app.engine.base import Engine

STARTED = int(time.time())


async def list_models(request: Request[State]) -> Response:
    models = request.state["models"]
    return MsgspecResponse(ModelList([described(models.get(name)) for name in models.names]))


async def show_model(request: Request[State]) -> Response:
    return MsgspecResponse(described(request.state["models"].get(request.path_params["name"])))


def described(engine: Engine) -> Model:
    return Model(engine.name, STARTED, profile_of(engine))
