"""Access control: API keys (API_KEYS) and the number of requests a minute (RATE_LIMIT)."""

from __future__ import annotations

import functools
import hmac
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.errors import RateLimited, Unauthorized
from app.rate_limit import RateLimiter

Handler = Callable[[Request[Any]], Awaitable[Response]]


class ApiKeys:
    """The keys that the service accepts. All of them give the same rights. Without any key the service is open."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [key.encode() for key in keys]

    def check(self, request: Request[Any]) -> str | None:
        """Return a name for the key that was sent, or None if the service is open. Raises Unauthorized.

        Each comparison takes constant time, and every key is compared, so that the time tells nothing about the keys.
        """
        if not self._keys:
            return None
        sent = sent_key(request).encode("latin-1")
        matches = [number for number, key in enumerate(self._keys) if hmac.compare_digest(sent, key)]
        if not matches:
            problem = "the API key is not one of this service's keys" if sent else "this service needs an API key"
            raise Unauthorized(f"{problem}: send yours as `Authorization: Bearer KEY` or `X-Api-Key: KEY`.")
        return f"key {matches[0]}"


def sent_key(request: Request[Any]) -> str:
    """The key from X-Api-Key or else from Authorization, empty if there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return request.headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")


class AccessControl:
    """Checks the key and the rate of each request.

    Clients without a key are told apart by their address. `behind_proxy` says that Google's front end has written the last
    address of X-Forwarded-For; anywhere else a client could write that header itself.
    """

    def __init__(self, keys: ApiKeys, limiter: RateLimiter, behind_proxy: bool) -> None:
        self._keys = keys
        self._limiter = limiter
        self._behind_proxy = behind_proxy

    def check(self, request: Request[Any], count: bool) -> None:
        """Check the key and, with `count`, count the request. Raises Unauthorized, RateLimited."""
        client = self._client(request)
        if not count:
            return
        if seconds := self._limiter.seconds_until_allowed(client):
            raise RateLimited(self._limiter.per_minute, seconds)
        self._limiter.count(client)

    def check_dispensable(self, request: Request[Any]) -> None:
        """Refuse a counted request that its client can do without and that takes more than half of its allowance.

        Raises RateLimited.
        """
        client = self._client(request)
        self._limiter.take_back(client)
        if seconds := self._limiter.seconds_until_allowed(client, share=0.5):
            raise RateLimited(self._limiter.per_minute // 2, seconds)
        self._limiter.count(client)

    def knows(self, request: Request[Any]) -> bool:
        """Whether the request may see what is only for those with a key, on a route that is open to everybody."""
        try:
            self._keys.check(request)
        except Unauthorized:
            return False
        return True

    def _client(self, request: Request[Any]) -> str:
        """Who asks: a key or an address. Raises Unauthorized."""
        return self._keys.check(request) or self._address(request)

    def _address(self, request: Request[Any]) -> str:
        forwarded = request.headers.get("x-forwarded-for", "") if self._behind_proxy else ""
        return forwarded.rpartition(",")[2].strip() or (request.client.host if request.client else "")


def requires_key(handler: Handler, count: bool = False) -> Handler:
    """Wrap a route's handler so that it asks for a key, if the service has keys."""

    @functools.wraps(handler)
    async def checked(request: Request[Any]) -> Response:
        request.state["access"].check(request, count)
        return await handler(request)

    return checked


def rate_limited(handler: Handler) -> Handler:
    """Wrap a route's handler so that it asks for a key and counts the request. For the routes that cost computing time."""
    return requires_key(handler, count=True)
