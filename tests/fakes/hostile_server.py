"""A server that answers anything but what was asked for: its kinds of answers, each of which somebody's proxy has sent once."""

from __future__ import annotations

import contextlib
import functools
import gzip
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

Connection = socket.socket
Answer = Callable[[Connection], None]
LARGE = 250


def whole(body: bytes, status: str = "200 OK", *headers: str, kind: str = "application/json") -> Answer:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers, "", ""]
    return lambda connection: connection.sendall("\r\n".join(lines).encode() + body)


def slow(beginning: bytes, piece: bytes, pause: float = 1.0) -> Answer:
    """`beginning` at once, then `piece` again and again."""

    def answer(connection: Connection) -> None:
        connection.sendall(beginning)
        while True:
            connection.sendall(piece)
            time.sleep(pause)

    return answer


def large(connection: Connection) -> None:
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (LARGE * 10**6)
    )
    piece = b" " * 10**6
    for _ in range(LARGE):
        connection.sendall(piece)


@functools.cache
def compressed() -> bytes:
    """250 MB, in a megabyte."""
    return gzip.compress(b" " * 10**6, 1) * LARGE


def bomb(connection: Connection) -> None:
    whole(compressed(), "200 OK", "Content-Encoding: gzip")(connection)


def reset(connection: Connection) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ELSEWHERE = "Location: http://127.0.0.1:1/hunter2"
AT_ONCE: dict[str, Answer] = {
    "null": whole(b"null"),
    "an empty list": whole(b"[]"),
    "a number": whole(b"NaN"),
    "a page": whole(b"<html>no</html>", kind="text/html"),
    "a broken object": whole(b'{"ok": true, "result": {'),
    "an empty result": whole(b'{"ok": true, "result": [], "rows": 7, "insertErrors": [{}], "schema": []}'),
    "a result of another kind": whole(b'{"ok": true, "result": {"message_id": []}, "insertErrors": 5}'),
    "nested lists": whole(b"[" * 100_000),
    "an empty object": whole(b"{}"),
    "no text": whole(b'{"ok": true, "result": "\xff\xfe\xed\xa0\x80"}'),
    "nothing": whole(b"", "204 No Content"),
    "another protocol": whole(b"", "101 Switching Protocols"),
    "a redirect": whole(b"", "302 Found", ELSEWHERE),
    "a redirect that keeps the body": whole(b"", "307 Temporary Redirect", ELSEWHERE),
    "400 with a list": whole(b"[]", "400 Bad Request"),
    "400 with other errors": whole(b'{"error": [1], "errors": 7, "parameters": []}', "400 Bad Request"),
    "403 with a page": whole(b"<html>no</html>", "403 Forbidden", kind="text/html"),
    "404": whole(b"{}", "404 Not Found"),
    "a gzip bomb": bomb,
    "250 MB": large,
}
RETRIED: dict[str, Answer] = {
    "401": whole(b"{}", "401 Unauthorized"),
    "429 with NaN": whole(b'{"ok": false, "parameters": {"retry_after": NaN}}', "429 Too Many Requests"),
    "429 with a text": whole(b'{"ok": false, "parameters": {"retry_after": "soon"}}', "429 Too Many Requests"),
    "429 with less than nothing": whole(
        b'{"ok": false, "parameters": {"retry_after": -1e300}}', "429 Too Many Requests"
    ),
    "429 with an age": whole(
        b'{"ok": false, "parameters": {"retry_after": 1%s}}' % (b"0" * 400), "429 Too Many Requests"
    ),
    "500": whole(b"null", "500 Internal Server Error"),
    "503": whole(b"[]", "503 Service Unavailable"),
    "599": whole(b"", "599 Else"),
    "a reset": reset,
    "garbage": lambda connection: connection.sendall(b"\x00\xff garbage\r\n\r\n"),
    "silence": lambda _: time.sleep(60),
    "a byte a second": slow(OK + b"Content-Length: 1000\r\n\r\n", b" "),
    "a byte a second without a length": slow(OK + b"Connection: close\r\n\r\n", b" "),
    "a header a byte a second": slow(OK + b"X-Slow: ", b"a"),
    "100 Continue for ever": slow(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.2),
}


class HostileServer:
    """Answers every request with `answer`."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests = 0
        self.url = ""

    def listen(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # The listener is closed at the end.
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=self.meet, args=[connection], daemon=True).start()

    def meet(self, connection: Connection) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(2**16)
            self.requests += 1
            self.answer(connection)


@contextlib.contextmanager
def hostile_server(answer: Answer = AT_ONCE["null"]) -> Iterator[HostileServer]:
    server = HostileServer(answer)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        threading.Thread(target=server.listen, args=[listener], daemon=True).start()
        yield server
