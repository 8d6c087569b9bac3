"""CORS: pages of other origins may call the API and read every reply, errors too."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import Message, Send

from app.api.error_responses import error_response
from app.errors import Forbidden


class CrossOriginMiddleware(CORSMiddleware):
    """Starlette's middleware, but the headers are sent even if the request names no Origin."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """Starlette's reply, but a refusal is an error object."""
        reply = super().preflight_response(request_headers)
        if reply.status_code == 200:
            return reply
        origin, method = request_headers["origin"], request_headers["access-control-request-method"]
        problem = f"pages of {origin} may not send {method} here: CORS_ORIGINS lists who may."
        refused = error_response(Forbidden(problem, code="origin_not_allowed"))
        refused.headers.update({name: reply.headers[name] for name in reply.headers if not name.startswith("content-")})
        return refused

    async def send(self, message: Message, send: Send, request_headers: Headers) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(self.simple_headers)
        await super().send(message, send, request_headers)
