"""uvicorn, with the two things it leaves to others: a deadline for slow senders and a signal that draining has begun."""

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
HEADER_BYTES = 16384
HEADER_SECONDS = 10.0


class Protocol(H11Protocol):
    """Closes a connection whose request line and headers do not arrive in time, however slowly they trickle."""

    header_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # As in uvicorn.
        super().connection_made(transport)
        self.expect_headers()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self.forget_headers()
        elif self.header_timer is None:
            self.expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self.forget_headers()
        super().connection_lost(exc)

    def expect_headers(self) -> None:
        self.header_timer = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def forget_headers(self) -> None:
        if self.header_timer is not None:
            self.header_timer.cancel()
            self.header_timer = None


class Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, drain: Callable[[], None]) -> None:
        super().__init__(config)
        self._drain = drain

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._drain()
        super().handle_exit(sig, frame)


def serve(app: Any, port: socket.socket, log_level: str, drain: Callable[[], None]) -> None:
    """Serve on a listening port until SIGTERM or SIGINT, then finish what is being answered and return."""
    config = uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        loop="asyncio",
        h11_max_incomplete_event_size=HEADER_BYTES,
        # Its lines take the form that app.log gives them; app.api.access_log has those of the requests.
        log_config=None,
        access_log=False,
        # Whose word to take for an address is app.api.keys' affair.
        proxy_headers=False,
        log_level=log_level,
        server_header=False,
        timeout_graceful_shutdown=9,
    )
    # uvicorn raises the signal again when it is done; being told to stop and having stopped is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    log.info("serving on http://localhost:%d", port.getsockname()[1])
    Server(config, drain).run(sockets=[port])
