"""The port: reserved before the model is loaded, opened afterwards.

Reserving it first makes a start on a taken port fail at once. Until it is opened, connections are refused, which tells Cloud
Run's startup probe that the container is not ready.
"""

from __future__ import annotations

import errno
import socket

from app.errors import MachineError

# Connections that may wait to be accepted; uvicorn's default.
BACKLOG = 2048


def reserve(port: int, address: str = "0.0.0.0") -> socket.socket:
    """A socket bound to the port of an address, which accepts nothing yet. Raises MachineError."""
    try:
        family, kind, _, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[
            0
        ]
    except (OSError, UnicodeError):
        raise MachineError(
            f"LISTEN is {address!r}, which is no address of this machine: try 0.0.0.0 or 127.0.0.1."
        ) from None
    # Without the explicit TCP, asyncio leaves Nagle's algorithm on, which costs 40 ms a request.
    reserved = socket.socket(family, kind, socket.IPPROTO_TCP)
    # Otherwise a restart would have to wait until the last connections of the previous process are forgotten.
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        reserved.bind(place)
    except OSError as error:
        reserved.close()
        raise refusal(port, address, error) from None
    return reserved


def listen(reserved: socket.socket) -> None:
    """Accept connections from now on. Raises MachineError: of two processes that reserved a port, only one can listen on it."""
    try:
        reserved.listen(BACKLOG)
    except OSError as error:
        address, port, *_ = reserved.getsockname()
        raise refusal(port, address, error) from None


def url(listening: socket.socket) -> str:
    """Where a browser on this machine finds what listens there."""
    address, port, *_ = listening.getsockname()
    if address in ("0.0.0.0", "::", "127.0.0.1", "::1"):
        return f"http://localhost:{port}"
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def refusal(port: int, address: str, error: OSError) -> MachineError:
    if error.errno == errno.EADDRINUSE:
        return MachineError(f"port {port} is taken: set PORT or `gpt2 serve --port` to another.")
    if error.errno == errno.EADDRNOTAVAIL:
        return MachineError(f"LISTEN is {address!r}, which is no address of this machine: try 0.0.0.0 or 127.0.0.1.")
    return MachineError(f"port {port} cannot be opened ({error.strerror}): set PORT or `gpt2 serve --port` to another.")
