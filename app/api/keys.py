"""Who may ask, and how often: API_KEYS and RATE_LIMIT."""

from __future__ import annotations

import functools
import hmac
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.errors import RateLimited, Unauthorized

Handler = Callable[[Request[Any]], Awaitable[Response]]
# Those who asked last; more would be a way to fill the memory.
MAX_CLIENTS = 10_000


class Keys:
    """The keys, all of which are worth the same; none for a service that is open."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [key.encode() for key in keys]

    def check(self, request: Request[Any]) -> str | None:
        """Which key it is, as a name to count by. Takes as long for every wrong key. Raises Unauthorized."""
        if not self._keys:
            return None
        given = given_key(request).encode("latin-1")
        found = [number for number, key in enumerate(self._keys) if hmac.compare_digest(given, key)]
        if not found:
            what = "the API key is not one of this service" if given else "this service asks for an API key"
            raise Unauthorized(f"{what}: send yours as `Authorization: Bearer KEY` or `X-Api-Key: KEY`.")
        return f"key {found[0]}"


def given_key(request: Request[Any]) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return request.headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")


class Rate:
    """So many requests a minute for each client, all at once if they like.

    Of each client it is kept when all its requests would have been due, had they come evenly spread. Every container counts for
    itself.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = 60 / per_minute if per_minute else 0.0
        self._clock = clock
        self._due: dict[str, float] = {}

    def take(self, client: str) -> None:
        """Count a request. Raises RateLimited if that is one too many."""
        if not self._seconds:
            return
        now = self._clock()
        due = max(self._due.pop(client, now), now) + self._seconds
        wait = due - now - 60
        if wait > 1e-6:
            self._due[client] = due - self._seconds
            raise RateLimited(round(60 / self._seconds), math.ceil(wait))
        self._due[client] = due
        if len(self._due) > MAX_CLIENTS:
            del self._due[next(iter(self._due))]


class Gate:
    """`proxied` if the last address of X-Forwarded-For is one that Google's front end has seen itself."""

    def __init__(self, keys: Keys, rate: Rate, proxied: bool) -> None:
        self._keys = keys
        self._rate = rate
        self._proxied = proxied

    def check(self, request: Request[Any], metered: bool) -> None:
        """Raises Unauthorized, RateLimited."""
        client = self._keys.check(request)
        if metered:
            self._rate.take(client or self._address(request))

    def _address(self, request: Request[Any]) -> str:
        forwarded = request.headers.get("x-forwarded-for", "") if self._proxied else ""
        return forwarded.rpartition(",")[2].strip() or (request.client.host if request.client else "")


def keyed(handler: Handler, metered: bool = False) -> Handler:
    """For those who have a key, where keys are asked for. Browsers send none with OPTIONS."""

    @functools.wraps(handler)
    async def checked(request: Request[Any]) -> Response:
        if request.method != "OPTIONS":
            request.state["gate"].check(request, metered)
        return await handler(request)

    return checked


def metered(handler: Handler) -> Handler:
    """Likewise, and so often as the rate allows."""
    return keyed(handler, metered=True)
