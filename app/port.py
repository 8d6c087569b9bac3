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


def reserve(port: int) -> socket.socket:
    """A socket bound to the port on all addresses, which accepts nothing yet. Raises MachineError."""
    # Without the explicit TCP, asyncio leaves Nagle's algorithm on, which costs 40 ms a request.
    reserved = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # Otherwise a restart would have to wait until the last connections of the previous process are forgotten.
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        reserved.bind(("0.0.0.0", port))
    except OSError as error:
        reserved.close()
        raise refusal(port, error) from None
    return reserved


def listen(reserved: socket.socket) -> None:
    """Accept connections from now on. Raises MachineError: of two processes that reserved a port, only one can listen on it."""
    try:
        reserved.listen(BACKLOG)
    except OSError as error:
        raise refusal(reserved.getsockname()[1], error) from None


def refusal(port: int, error: OSError) -> MachineError:
    if error.errno == errno.EADDRINUSE:
        return MachineError(f"port {port} is taken: set PORT to another.")
    return MachineError(f"port {port} cannot be opened ({error.strerror}): set PORT to another.")
