"""CORS: pages of other origins may call the API and read every reply, errors too."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Message, Send


class CrossOriginMiddleware(CORSMiddleware):
    """Starlette's middleware, but the headers are sent even if the request names no Origin."""

    async def send(self, message: Message, send: Send, request_headers: Headers) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(self.simple_headers)
        await super().send(message, send, request_headers)
