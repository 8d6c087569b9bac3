"""Serve an ASGI application on loopback, in a thread of this process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import uvicorn
import uvicorn.server
from starlette.types import ASGIApp

# uvicorn looks each tenth of a second whether it should stop, and then waits another: minutes in all, with a thousand servers.
quick = SimpleNamespace(**vars(asyncio) | {"sleep": lambda seconds: asyncio.sleep(seconds / 20)})
vars(uvicorn.server)["asyncio"] = quick


@contextlib.contextmanager
def on_loopback(application: ASGIApp, **options: Any) -> Iterator[str]:
    """Yields the address. `options` are uvicorn's."""
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning", **options))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.002)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
