"""A request as it travels, with every byte as somebody chose it, and one connection on which such requests are asked."""

from __future__ import annotations

import contextlib
import http.client
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

Header = tuple[bytes, bytes]
CORPUS = Path(__file__).parent / "corpus"
TIMEOUT = 30.0


@dataclass(frozen=True)
class RawRequest:
    """Host, and Content-Length or chunks, are added when it is sent, unless `headers` has a Host."""

    method: bytes
    target: bytes
    headers: tuple[Header, ...] = ()
    body: bytes = b""
    chunked: bool = False

    def sent(self) -> bytes:
        framing: tuple[Header, ...] = ()
        body = self.body
        if self.chunked:
            framing = ((b"Transfer-Encoding", b"chunked"),)
            pieces = [body[:1], body[1:]]
            body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece) + b"0\r\n\r\n"
        elif body:
            framing = ((b"Content-Length", b"%d" % len(body)),)
        host = () if any(name.lower() == b"host" for name, _ in self.headers) else ((b"Host", b"localhost"),)
        lines = [b"%s: %s" % header for header in (*host, *self.headers, *framing)]
        return b"\r\n".join([b"%s %s HTTP/1.1" % (self.method, self.target), *lines, b"", b""]) + body

    @property
    def path(self) -> str:
        return self.target.partition(b"?")[0].decode("latin-1")

    def header(self, name: bytes) -> str:
        return next((value.decode("latin-1") for key, value in self.headers if key.lower() == name), "")


def read_request(path: Path) -> RawRequest:
    """A file of the corpus: the request line without its version, headers, an empty line, and the body."""
    head, _, body = path.read_bytes().partition(b"\n\n")
    first, *rest = head.split(b"\n")
    method, _, target = first.partition(b" ")
    headers = tuple((name, value.strip()) for name, _, value in (line.partition(b":") for line in rest))
    return RawRequest(method, target, headers, body.removesuffix(b"\n"))


class RawReply(NamedTuple):
    """`headers` by their names in small letters."""

    status: int
    headers: dict[str, str]
    content: bytes


class Connection:
    """Asks on one connection for as long as the server keeps it. `connect` opens one."""

    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        self._connect = connect
        self._socket: socket.socket | None = None

    def ask(self, request: RawRequest) -> RawReply:
        """Raises OSError or http.client.HTTPException if there is no whole reply."""
        try:
            return self._exchange(request)
        except BaseException:
            self.close()
            raise

    def _exchange(self, request: RawRequest) -> RawReply:
        if self._socket is None:
            self._socket = self._connect()
            self._socket.settimeout(TIMEOUT)
        self._socket.sendall(request.sent())
        with http.client.HTTPResponse(self._socket, method=request.method.decode("latin-1")) as reply:
            reply.begin()
            content = reply.read()
            if reply.will_close:
                self.close()
            return RawReply(reply.status, {name.lower(): value for name, value in reply.getheaders()}, content)

    def close(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None
