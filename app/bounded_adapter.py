"""The answers of other servers to `requests`, bounded: in bytes once they are decompressed, and in seconds up to the last one.

requests' own timeout is for each read: a server that sends a byte a second holds a call for as long as it likes.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

PIECE = 2**16
# The connection that a thread is using.
current = threading.local()


def bound(session: requests.Session, max_bytes: int, seconds: float) -> None:
    """Bound all answers to a session, and follow no redirect: it would take what is sent to another server."""
    session.max_redirects = 0
    # Google's sessions have another one within, with which they log in.
    within = getattr(getattr(session, "_auth_request", None), "session", session)
    for each in {session, within}:
        for scheme in ("http://", "https://"):
            each.mount(scheme, BoundedAdapter(max_bytes, seconds))


class OversizedAnswer(requests.RequestException):
    """An answer has more bytes than any that is expected."""


class BoundedAdapter(HTTPAdapter):
    """For `session.mount`. A request with `stream=True` is bounded up to its headers only: its caller reads the rest.

    Closing the session ends the requests of other threads too.
    """

    def __init__(self, max_bytes: int, seconds: float, **options: Any) -> None:
        self._max_bytes, self._seconds = max_bytes, seconds
        self._uses: set[Use] = set()
        self._closed = False
        super().__init__(**options)

    def close(self) -> None:
        self._closed = True
        for use in [*self._uses]:
            use.cut()
        super().close()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = POOLS
        return manager

    def send(  # type: ignore[override]  # The others are passed on.
        self, request: requests.PreparedRequest, stream: bool = False, **options: Any
    ) -> requests.Response:
        """Raises requests' errors, and RuntimeError once it is closed: Google's library would try again after any of those."""
        if self._closed:
            raise RuntimeError("the session is closed")
        with cut_after(self._seconds, self._uses) as is_cut:
            try:
                response = super().send(request, stream=True, **options)
                if not stream:
                    read_all(response, self._max_bytes)
            except (OSError, HTTPError) as error:  # requests' own are OSErrors.
                if is_cut.is_set():
                    raise requests.ReadTimeout(f"no whole answer within {self._seconds:g} s", request=request) from None
                if isinstance(error, HTTPError):
                    raise requests.ConnectionError(type(error).__name__, request=request) from None
                raise
            if is_cut.is_set():  # An answer without a length ends wherever it is cut.
                raise requests.ReadTimeout(f"no whole answer within {self._seconds:g} s", request=request)
        return response


def read_all(response: requests.Response, max_bytes: int) -> None:
    """Read the body into the response. Raises OversizedAnswer."""
    body = bytearray()
    for piece in response.raw.stream(PIECE, decode_content=True):
        body += piece
        if len(body) > max_bytes:
            response.close()
            raise OversizedAnswer(f"an answer of more than {max_bytes // 10**6} MB")
    response._content, response._content_consumed = bytes(body), True  # As requests does.


@contextlib.contextmanager
def cut_after(seconds: float, uses: set[Use]) -> Iterator[threading.Event]:
    """Cut the connection that this thread uses if the block takes longer. Yields whether that has happened."""
    is_cut, use = threading.Event(), Use()
    current.use = use
    uses.add(use)

    def cut() -> None:
        is_cut.set()
        use.cut()

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield is_cut
    finally:
        timer.cancel()
        uses.discard(use)
        current.use = None


class Use:
    """A use of a connection: its socket once there is one. What blocks on a socket ends when it is cut."""

    def __init__(self) -> None:
        self.connection: HTTPConnection | None = None
        self.socket: socket.socket | None = None

    def cut(self) -> None:
        found = self.socket or (self.connection and self.connection.sock)
        if found:
            with contextlib.suppress(OSError):  # It has ended by itself.
                found.shutdown(socket.SHUT_RDWR)


class Watched(HTTPConnection):
    """Notes that its thread uses it."""

    def request(self, *arguments: Any, **options: Any) -> None:
        if use := getattr(current, "use", None):
            use.connection = self
        super().request(*arguments, **options)

    def getresponse(self) -> BaseHTTPResponse:  # type: ignore[override]
        if use := getattr(current, "use", None):
            use.socket = self.sock  # The connection forgets it if the answer says that it is the last.
        return super().getresponse()


class WatchedSecurely(Watched, HTTPSConnection):
    pass


class WatchedPool(HTTPConnectionPool):
    ConnectionCls = Watched


class SecurePool(HTTPSConnectionPool):
    ConnectionCls = WatchedSecurely


POOLS = {"http": WatchedPool, "https": SecurePool}
