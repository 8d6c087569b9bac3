"""Handlers whose module is imported with the first request for it, so that it takes no time at the start."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.api.keys import Handler


def on_demand(module: str, name: str) -> Handler:
    """The handler of this name in app.api.`module`."""
    found: Handler | None = None

    async def handler(request: Request[Any]) -> Response:
        nonlocal found
        if found is None:
            found = getattr(await asyncio.to_thread(importlib.import_module, f"app.api.{module}"), name)
            assert found is not None
        return await found(request)

    return handler
