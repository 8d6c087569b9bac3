"""Paths: every spelling of a path is answered like the path itself, since a redirect would lose a POST's body or HTTPS."""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Receive, Scope, Send


class PathMiddleware:
    """Gives a request the path by which the routes know it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["path"] = known_path(scope["path"])
        await self._app(scope, receive, send)


def known_path(path: str) -> str:
    """`/v1/models/`, `//v1/models` and a proxy's `http://host/v1/models` are `/v1/models`. `*` is the server, for OPTIONS."""
    path = re.sub(r"^https?://[^/]*", "", path, flags=re.IGNORECASE)
    path = re.sub("/{2,}", "/", path).removesuffix("/")
    return "/" if path in ("", "*", "/index.html") else path
