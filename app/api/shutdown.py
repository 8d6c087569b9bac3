"""Shutdown: a request that the server drops when it stops is answered with 503, so that its client asks again."""

from __future__ import annotations

import asyncio
import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.error_forms import form_of
from app.api.error_responses import error_response, http_error
from app.errors import ShuttingDown

log = logging.getLogger(__name__)


class ShutdownMiddleware:
    """Uvicorn cancels the requests that are still being answered when it stops. A reply that has begun just breaks off."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noted_send(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noted_send)
        except asyncio.CancelledError:
            log.warning("a request was dropped, because the server stops")
            if not begun:
                await error_response(http_error(ShuttingDown()), form_of(scope))(scope, receive, send)
