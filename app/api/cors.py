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
        """Starlette's reply, but without a text if it allows, and an error object if it refuses."""
        reply = super().preflight_response(request_headers)
        headers = {name: value for name, value in reply.headers.items() if not name.startswith("content-")}
        if reply.status_code == 200:
            return Response(status_code=204, headers=headers)
        origin, method = request_headers["origin"], request_headers["access-control-request-method"]
        problem = f"pages of {origin} may not send {method} here: CORS_ORIGINS lists who may."
        if self.is_allowed_origin(origin):
            problem = f"no page may send {method} here, nor from the internet to a local network: use GET or POST."
        refused = error_response(Forbidden(problem, code="origin_not_allowed"))
        refused.headers.update(headers)
        return refused

    async def send(self, message: Message, send: Send, request_headers: Headers) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(self.simple_headers)
        await super().send(message, send, request_headers)
