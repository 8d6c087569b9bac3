"""`/v1/models` and `/v1/models/NAME`: the served models, as OpenAI lists them."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response

from app.api.msgspec_response import MsgspecResponse
from app.api.openai_replies import Model, ModelList
from app.api.state import State

STARTED = int(time.time())


async def list_models(request: Request[State]) -> Response:
    return MsgspecResponse(ModelList([Model(name, STARTED) for name in request.state["models"].names]))


async def show_model(request: Request[State]) -> Response:
    return MsgspecResponse(Model(request.state["models"].get(request.path_params["name"]).name, STARTED))
