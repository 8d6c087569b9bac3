"""A client that sends far too much, all of it before it reads, sees the refusal, on every route, and nothing of it is kept."""

from __future__ import annotations

import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import product
from pathlib import Path

import httpx
import requests

from tests.api.test_keys import routes
from tests.robustness.everything import everything_on
from tests.robustness.service import Service

PIECE = b" " * 65536
STATUSES = {400, 401, 403, 404, 405, 413}
# Clients at the same time.
TOGETHER = 8


class LargeBody:
    """A body of `size` bytes, whole or in pieces."""

    def __init__(self, size: int) -> None:
        self.size = size

    def whole(self) -> bytes:
        return PIECE * (self.size // len(PIECE))

    def pieces(self) -> Iterator[bytes]:
        return (PIECE for _ in range(self.size // len(PIECE)))


def by_urllib(service: Service, path: str, body: LargeBody) -> int:
    try:
        urllib.request.urlopen(urllib.request.Request(service.url + path, body.whole(), method="POST"), timeout=60)
    except urllib.error.HTTPError as refused:
        return refused.code
    return 200


def by_requests(service: Service, path: str, body: LargeBody) -> int:
    return requests.post(service.url + path, data=body.whole(), timeout=60).status_code


def by_requests_in_pieces(service: Service, path: str, body: LargeBody) -> int:
    return requests.post(service.url + path, data=body.pieces(), timeout=60).status_code


def by_httpx_in_pieces(service: Service, path: str, body: LargeBody) -> int:
    return httpx.post(service.url + path, content=body.pieces(), timeout=60).status_code


def by_a_socket(service: Service, path: str, body: LargeBody) -> int:
    """It sends all, and reads then. The address is as in every other request."""
    with service.connect() as connection:
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {body.size}\r\n\r\n"
        connection.sendall(head.encode() + body.whole())
        with http.client.HTTPResponse(connection) as reply:
            reply.begin()
            reply.read()
            return reply.status


CLIENTS = [by_urllib, by_requests, by_requests_in_pieces, by_httpx_in_pieces, by_a_socket]


def test_large_bodies(
    serving: Callable[..., AbstractContextManager[Service]],
    record: Callable[..., None],
    rounds: Callable[[int, int], int],
    tmp_path: Path,
) -> None:
    """Seen with urllib and requests: the connection reset while 30 MB were sent, and no word of why."""
    body = LargeBody(rounds(10, 480) * len(PIECE))
    paths = sorted({re.sub(r"{.*?}", "x", route.path) for route in routes()} | {"/nothing", "/telegram", "/web/x/x"})
    tried = list(product(CLIENTS, paths))[:: rounds(29, 1)]
    with serving(**everything_on(tmp_path)) as service:
        service.get()
        before = service.resident()

        def refused(case: tuple[Callable[[Service, str, LargeBody], int], str]) -> bool:
            client, path = case
            try:
                return client(service, path, body) in STATUSES
            except (OSError, httpx.TransportError, requests.RequestException, http.client.HTTPException):
                return False

        with ThreadPoolExecutor(TOGETHER) as pool:
            found = list(pool.map(refused, tried))
        kept = service.resident() - before
        assert service.get().status_code == 200
    record("bodies over the limit", len(tried))
    record("megabytes of each", body.size / 1e6)
    record("clients that saw no refusal", found.count(False), 0)
    record("memory kept after them, MB", kept, 25)
    assert [(client.__name__, path) for (client, path), told in zip(tried, found, strict=True) if not told] == []
