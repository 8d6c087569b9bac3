"""The HTTP server: uvicorn with app.http_protocol, which drains the queue before it stops, within ten seconds."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn

from app.http_protocol import HEADER_BYTES, HttpProtocol
from app.port import url

log = logging.getLogger(__name__)
# Seconds after a signal to stop: until running generations end with the texts they have, until requests that still have not been
# answered are dropped, and until the process ends. Cloud Run kills it after ten.
GRACE = 7.0
DROP = 8
END = 9.5
# Seconds for which a thread that computes in Python keeps the event loop waiting. An answer takes the loop several turns, so that
# Python's own 5 ms would add up.
SWITCH = 0.001
# Seconds until the process ends after a second signal.
LAST_WORDS = 2.0


class DrainingServer(uvicorn.Server):
    """Drains the queue when a signal tells it to stop: calls `drain` with the seconds that are left for what runs."""

    def __init__(self, config: uvicorn.Config, drain: Callable[[float], None]) -> None:
        super().__init__(config)
        self._drain = drain

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A first signal lets requests finish. A second one ends them at their next token."""
        again = self.should_exit
        self._drain(0.0 if again else GRACE)
        end_within(LAST_WORDS if again else END)
        if not again:
            super().handle_exit(sig, frame)


def end_within(seconds: float) -> None:
    """End the process then, whatever it does: a thread cannot be stopped while it loads a model or waits for a network."""
    timer = threading.Timer(seconds, os._exit, [0])
    timer.daemon = True
    timer.start()


def serve(app: Any, model: str, port: socket.socket, log_level: str, drain: Callable[[float], None]) -> None:
    """Serve on a listening socket until SIGTERM or SIGINT. Logs the address and the default `model`.

    Then calls `drain`, waits for the requests that are being answered, and returns. The process ends within ten seconds anyway.
    """
    config = uvicorn.Config(
        app,
        http=HttpProtocol,
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
        timeout_graceful_shutdown=DROP,
    )
    # The access log has a line for each request that is malformed, and this one says less.
    logging.getLogger("uvicorn.error").addFilter(lambda record: record.msg != "Invalid HTTP request received.")
    # uvicorn raises the signal again when it is done, which would end the process with an error code.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    sys.setswitchinterval(SWITCH)
    log.info("serving %s on %s", model, url(port))
    DrainingServer(config, drain).run(sockets=[port])
