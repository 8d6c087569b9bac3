"""HTTP/1.1 on one connection: uvicorn's protocol, with a deadline for headers and an answer to what is not HTTP."""

from __future__ import annotations

import asyncio
import re
import sys

import h11
from uvicorn._types import HTTPScope
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from app.outflow import Outflow

# Limits of a request line together with its headers.
HEADER_BYTES = 16384
HEADER_SECONDS = 10.0
# Until a connection without a request is closed.
IDLE_SECONDS = 5
REQUEST_LINE = re.compile(rb"[^\n]* HTTP/\d\.\d\r?\n")
LENGTHS = (b"\ncontent-length", b"\ntransfer-encoding")
END_OF_HEAD = re.compile(rb"\n\r?\n")
# Of a request line that is malformed. The rest may be anything, which is not for the log.
KNOWN_START = re.compile(rb"(?P<method>GET|HEAD|POST|PUT|DELETE|PATCH|OPTIONS) (?P<path>/[!->@-~]*)")
HEADER = re.compile(rb"([\w-]+):[ \t]*(.*?)[ \t\r]*", re.ASCII)
# The first bytes of other protocols that people try on the port.
OTHER_PROTOCOLS = {b"\x16\x03": "TLS", b"PRI * HTTP/2": "HTTP/2"}


class HttpProtocol(H11Protocol):
    """Uvicorn's protocol, but for four things.

    - A connection whose request line and headers have not arrived after HEADER_SECONDS is closed.
    - Characters beyond ASCII in an address are percent-encoded, which browsers do and curl does not.
    - A reply that nobody reads is dropped: see app.outflow. A stream goes on until then, as it would wait where it takes more.
    - What h11 refuses becomes a request with `scope["malformed"]`, the error, so that the application can answer it.
    """

    deadline: asyncio.TimerHandle | None = None
    malformed: bool = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # As in uvicorn.
        self.outflow = Outflow(transport, self.loop)
        super().connection_made(self.outflow)
        self.timeout_keep_alive = IDLE_SECONDS
        # What has arrived of the request line and the headers.
        self.head = b""
        self.start_deadline()

    def data_received(self, data: bytes) -> None:
        if self.malformed:
            self.ignore(data)
        elif self.conn.their_state is h11.IDLE:
            self.read_head(data)
        else:
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.cancel_deadline()
        self.outflow.lost()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Much of a reply waits here. Let only those wait that are not being generated, such as a file."""
        if "generation" in self.scope:
            self.outflow.hurry()
        else:
            super().pause_writing()

    def on_response_complete(self) -> None:
        """The reply has been written. Who still sends the request's body by then sends it too slowly, or for ever."""
        unfinished = self.conn.their_state is h11.SEND_BODY
        super().on_response_complete()
        if unfinished:
            self.transport.close()

    def start_deadline(self) -> None:
        self.deadline = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def cancel_deadline(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None

    def read_head(self, data: bytes) -> None:
        """Read a part of the request line and headers, with which a part of the body may come."""
        # A client that did not wait for its last reply may have sent the beginning already.
        self.head = self.head or self.conn.trailing_data[0]
        if not self.head:
            # Some clients end a body with an empty line too many.
            data = data.lstrip(b"\r\n")
        if not data:
            return
        if b"\n" not in self.head:
            line, newline, rest = data.partition(b"\n")
            data = percent_encoded(line) + newline + rest
        self.head += data
        if problem := self.problem():
            self.refuse(problem)
            return
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self.head = b""
            self.cancel_deadline()
        elif self.deadline is None:
            self.start_deadline()

    def problem(self) -> h11.RemoteProtocolError | None:
        """What h11 would find later or not at all, such as too long a head that comes at once."""
        for start, name in OTHER_PROTOCOLS.items():
            if self.head.startswith(start):
                return h11.RemoteProtocolError(name)
        if b"\n" in self.head and not REQUEST_LINE.match(self.head):
            return h11.RemoteProtocolError("illegal request line")
        if len(self.head) > HEADER_BYTES and not END_OF_HEAD.search(self.head, 0, HEADER_BYTES):
            return h11.RemoteProtocolError("the head is too long", error_status_hint=431)
        # h11 believes the second, and a proxy may believe the first: it would take for another request what is a body here.
        if (end := END_OF_HEAD.search(self.head)) and all(name in self.head[: end.start()].lower() for name in LENGTHS):
            return h11.RemoteProtocolError("Content-Length and Transfer-Encoding")
        return None

    def _should_upgrade(self) -> bool:
        """Never: there is nothing but HTTP/1.1 here. Uvicorn would log advice to install a package for WebSockets."""
        return False

    def send_400_response(self, msg: str) -> None:
        """Uvicorn calls this while it handles h11's error."""
        error = sys.exc_info()[1]
        assert isinstance(error, h11.RemoteProtocolError)
        self.refuse(error)

    def refuse(self, error: h11.RemoteProtocolError) -> None:
        """Let the application answer a request that is malformed."""
        self.malformed = True
        self.cancel_deadline()
        if self.conn.our_state is h11.IDLE:
            self.scope = self.malformed_scope()
            self.scope["malformed"] = error  # type: ignore[typeddict-unknown-key]
            self.cycle = RequestResponseCycle(
                scope=self.scope,
                conn=self.conn,
                transport=self.transport,
                flow=self.flow,
                logger=self.logger,
                access_logger=self.access_logger,
                access_log=False,
                default_headers=self.server_state.default_headers,
                message_event=asyncio.Event(),
                on_response=self.on_response_complete,
            )
            task = self.loop.create_task(self.cycle.run_asgi(self.app))
            task.add_done_callback(self.tasks.discard)
            self.tasks.add(task)
        elif not self.cycle.response_complete:
            # The body of a request that is being answered. Whoever reads it has to know.
            self.scope["malformed"] = error  # type: ignore[typeddict-unknown-key]
            self.cycle.message_event.set()
        else:
            self.transport.close()

    def malformed_scope(self) -> HTTPScope:
        """The scope of a request that cannot be parsed, with what can be told of its method, path and headers."""
        line, *rest = self.head.split(b"\n")
        known = KNOWN_START.match(line)
        return {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": "1.1",
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme or "http",
            # h11 expects a whole reply, and uvicorn would send one without content to HEAD.
            "method": known["method"].decode().replace("HEAD", "GET") if known else "-",
            "root_path": "",
            "path": "/",
            "raw_path": known["path"] if known else b"-",
            "query_string": b"",
            "headers": [(found[1].lower(), found[2]) for each in rest if (found := HEADER.fullmatch(each))],
            "state": self.app_state.copy(),
        }

    def ignore(self, data: bytes) -> None:
        """What comes after something malformed counts as the body. The application decides how long it reads on."""
        self.cycle.body += data
        if len(self.cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        self.cycle.message_event.set()


def percent_encoded(line: bytes) -> bytes:
    """The line with every byte beyond ASCII in the form that addresses have."""
    return re.sub(rb"[\x80-\xff]", lambda found: b"%%%02X" % ord(found[0]), line)
