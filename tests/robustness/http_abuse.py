"""Connections that mean no good: what they send first, what they go on with, and what they are told."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

HOST = b"Host: a\r\n"
POST = b"POST /generate HTTP/1.1\r\n" + HOST
LONG_STREAM = json.dumps({"prompt": "Why", "max_tokens": 4096, "min_tokens": 4096, "stream": True}).encode()
LONG_FILE = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\n" + HOST + b"\r\n"
# From Linux's tcp_states.h: the states of a connection that the other side has closed.
CLOSED = (6, 7, 8, 9, 11)


def post(path: str, body: bytes) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class Kind(NamedTuple):
    """`first` is sent at once and one byte of `then` each second, over and over.

    `statuses` are what it may be answered; 0 is no answer at all. Where it does not read, nothing can be seen of that. `half`
    closes its own side after `first`.
    """

    name: str
    first: bytes
    then: bytes = b""
    statuses: Sequence[int] = (0,)
    reads: bool = True
    half: bool = False


KINDS = [
    Kind("silent", b""),
    Kind("empty lines", b"", b"\r\n"),
    Kind("request line a byte a second", b"GET /", b"x"),
    Kind("headers a byte a second", b"GET / HTTP/1.1\r\n", b"a: b\r\n"),
    Kind("head without an end", b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 3000, b"a: b\r\n", (431,)),
    Kind("body a byte a second", POST + b"Content-Length: 100\r\n\r\n", b" ", (408,)),
    Kind("chunks a byte a second", POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", (408,)),
    Kind("chunk size a digit a second", POST + b"Transfer-Encoding: chunked\r\n\r\n", b"0", (408, 400)),
    Kind("trailers a byte a second", POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n", (408,)),
    Kind("body that stops", POST + b'Content-Length: 100\r\n\r\n{"length"', statuses=(408,)),
    Kind("answered, then idle", b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n", statuses=(200,)),
    Kind("answered, then empty lines", b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n", b"\r\n", (200,)),
    Kind("body to a 404", b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: 99999\r\n\r\n", b"x", (404,)),
    Kind("body to a GET", b"GET /health HTTP/1.1\r\n" + HOST + b"Content-Length: 99999\r\n\r\n", b"x", (200,)),
    Kind("body over the limit", POST + b"Content-Length: 999999999999\r\n\r\n", b"x", (413,)),
    Kind("chunk over the limit", POST + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n", b"x", (408, 413)),
    Kind("expect without a body", POST + b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n", statuses=(100,)),
    Kind("half-open in the head", b"GET / HTTP/1.1\r\nHo", half=True),
    Kind("half-open in the body", POST + b"Content-Length: 100\r\n\r\n{", half=True),
    Kind("pipelined and not read", LONG_FILE * 200, reads=False),
    Kind("pipelined", post("/tokenize", b'{"prompt": "a"}') * 50, statuses=(200,)),
    Kind("reply not read", LONG_FILE, reads=False),
    Kind("smuggling by two lengths", POST + b"Content-Length: 4\r\nContent-Length: 9\r\n\r\n", b"x", (400,)),
    Kind("smuggling by both", POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"G", (400,)),
    Kind("smuggling by a space", POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", b"G", (400,)),
    Kind("smuggling by a coding", POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", b"G", (400,)),
    Kind("head that is too long", b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\n\r\n", b"x", (431,)),
    Kind(
        "upgrade to WebSocket",
        b"GET /health HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"\x81",
        (200,),
    ),
    Kind("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 200, b"\xaa", (400,)),
    Kind("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x00", (400,)),
    Kind("garbage", bytes(range(256)) * 8, b"\x00", (400,)),
    Kind("unknown method", b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n", b"\r\n", (405,)),
    Kind("tunnel", b"CONNECT a:443 HTTP/1.1\r\n" + HOST + b"\r\n", b"\x16", (404, 405)),
]


UNREAD_STREAM = Kind("stream not read", post("/v1/completions", LONG_STREAM), reads=False)


@dataclass
class Abuse:
    """A connection of a kind. `seconds` is how long it lasted; None until it is closed."""

    kind: Kind
    port: int
    seconds: float | None = None
    received: bytes = b""
    began: float = field(default_factory=time.monotonic)
    sent: int = 0

    def __post_init__(self) -> None:
        self.connection = socket.socket()
        if not self.kind.reads:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.connection.connect(("127.0.0.1", self.port))
        self.connection.setblocking(False)
        self._left = self.kind.first
        self.go_on()

    @property
    def status(self) -> int:
        """Of the first answer, 0 without any."""
        return int(self.received.split(b" ", 2)[1]) if self.received.startswith(b"HTTP/1.1 ") else 0

    def go_on(self) -> None:
        """Send what is due, read, and see whether the other side has closed."""
        with contextlib.suppress(OSError):
            if self._left:
                self._left = self._left[self.connection.send(self._left) :]
                if self.kind.half and not self._left:
                    self.connection.shutdown(socket.SHUT_WR)
            elif self.kind.then and time.monotonic() - self.began > self.sent:
                self.connection.send(self.kind.then[self.sent % len(self.kind.then) :][:1])
                self.sent += 1
        with contextlib.suppress(OSError):
            if self.kind.reads:
                self.received = (self.received + self.connection.recv(65536))[:65536]
        state = self.connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        if state in CLOSED:
            self.seconds = time.monotonic() - self.began
            self.connection.close()


def abuse(kinds: Sequence[Kind], port: int, seconds: float, every: float = 0.0) -> list[Abuse]:
    """A connection of each of `kinds`, one after `every` seconds, until each is closed or has lasted so many seconds."""
    connections: list[Abuse] = []
    began = time.monotonic()
    while True:
        while len(connections) < len(kinds) and time.monotonic() - began >= every * len(connections):
            connections.append(Abuse(kinds[len(connections)], port))
        left = [each for each in connections if each.seconds is None and time.monotonic() - each.began < seconds]
        if not left and len(connections) == len(kinds):
            break
        for each in left:
            each.go_on()
        time.sleep(0.01)
    for each in connections:
        each.connection.close()
    return connections
