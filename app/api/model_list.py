"""`/v1/models` and `/v1/models/NAME`: what is served, as OpenAI lists it."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response

from app.api.openai import Model, ModelList
from app.api.state import State
from app.api.writing import as_json

STARTED = int(time.time())


async def list_models(request: Request[State]) -> Response:
    return as_json(ModelList([Model(name, STARTED) for name in request.state["models"].names]))


async def show_model(request: Request[State]) -> Response:
    return as_json(Model(request.state["models"].known(request.path_params["name"]), STARTED))
