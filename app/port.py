"""The port, taken at once and opened late.

Taken before the model is loaded, so that a start which cannot be fails in a blink. Opened after it: until then connections are
refused, which is how Cloud Run's startup probe knows that the container is not ready.
"""

from __future__ import annotations

import errno
import socket

from app.errors import MachineError

# As uvicorn's: connections that wait to be accepted.
BACKLOG = 2048


def reserve(port: int) -> socket.socket:
    """Take the port on all addresses, without accepting anything. Raises MachineError."""
    # Named as TCP, or asyncio would not know it for that and leave Nagle's algorithm on: 40 ms a request.
    taken = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # Else a restart would have to wait for the last connections of the process before it.
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind(("0.0.0.0", port))
    except OSError as error:
        taken.close()
        raise refusal(port, error) from None
    return taken


def listen(taken: socket.socket) -> None:
    """Accept from now on. Raises MachineError: two processes may take a port, and the first that listens has it."""
    try:
        taken.listen(BACKLOG)
    except OSError as error:
        raise refusal(taken.getsockname()[1], error) from None


def refusal(port: int, error: OSError) -> MachineError:
    if error.errno == errno.EADDRINUSE:
        return MachineError(f"port {port} is taken: set PORT to another.")
    return MachineError(f"port {port} cannot be opened ({error.strerror}): set PORT to another.")
