"""The HTTP server: uvicorn, which here cuts off slow headers and drains the queue before it stops."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

log = logging.getLogger(__name__)
# Limits of a request line together with its headers.
HEADER_BYTES = 16384
HEADER_SECONDS = 10.0


class HeaderDeadlineProtocol(H11Protocol):
    """Closes a connection whose request line and headers have not arrived after HEADER_SECONDS."""

    deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # As in uvicorn.
        super().connection_made(transport)
        self.start_deadline()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self.cancel_deadline()
        elif self.deadline is None:
            self.start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self.cancel_deadline()
        super().connection_lost(exc)

    def start_deadline(self) -> None:
        self.deadline = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def cancel_deadline(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None


class DrainingServer(uvicorn.Server):
    """Calls `drain` when a signal tells it to stop."""

    def __init__(self, config: uvicorn.Config, drain: Callable[[], None]) -> None:
        super().__init__(config)
        self._drain = drain

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._drain()
        super().handle_exit(sig, frame)


def serve(app: Any, port: socket.socket, log_level: str, drain: Callable[[], None]) -> None:
    """Serve on a listening socket until SIGTERM or SIGINT.

    Then calls `drain`, waits up to nine seconds for the requests that are being answered, and returns.
    """
    config = uvicorn.Config(
        app,
        http=HeaderDeadlineProtocol,
        ws="none",
        loop="asyncio",
        h11_max_incomplete_event_size=HEADER_BYTES,
        # app.log formats uvicorn's own lines, and app.api.access_log writes the access log.
        log_config=None,
        access_log=False,
        # app.api.keys decides whether a forwarded address is believed.
        proxy_headers=False,
        log_level=log_level,
        server_header=False,
        timeout_graceful_shutdown=9,
    )
    # uvicorn raises the signal again when it is done, which would end the process with an error code.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    log.info("serving on http://localhost:%d", port.getsockname()[1])
    DrainingServer(config, drain).run(sockets=[port])
