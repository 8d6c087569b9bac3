"""The way out of a connection: what is written in one turn of the event loop leaves at once, and what nobody reads is dropped."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import Any, ClassVar

# Seconds in which a client takes nothing of what waits for it until its connection is cut.
UNREAD_SECONDS = 5.0
# The same for a stream of which more than asyncio's 64 KB wait: its text would be written for nobody.
STREAM_SECONDS = 3.0
# Bytes that may wait on all connections together. Beyond, the connection with the most is cut.
UNREAD_BYTES = 16 * 2**20
# Bytes that may be written before they are handed on within a turn of the event loop.
PIECES = 2**16
# Bytes that the system keeps of what has not been sent. It would take megabytes.
UNSENT_BYTES = 2**16
# Closing resets the connection, so that the system keeps nothing either.
RESET = struct.pack("ii", 1, 0)


class Outflow(asyncio.Transport):
    """A connection's transport.

    A reply's head and body would otherwise leave in two calls of the system. At each of them the thread that writes texts may
    take the interpreter away.
    """

    slow: ClassVar[set[Outflow]] = set()
    """Those of this process on which something waits."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._pieces: list[bytes] = []
        self._size = 0
        # All bytes that were ever handed on, and how many of them had been taken when that was last looked at.
        self._written = 0
        self._taken = 0
        self._watch: asyncio.TimerHandle | None = None
        # Until it is cut, if not UNREAD_SECONDS.
        self._seconds = 0.0
        if option := getattr(socket, "TCP_NOTSENT_LOWAT", None):
            with contextlib.suppress(OSError):
                transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, option, UNSENT_BYTES)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not data:
            return
        if not self._pieces:
            self._loop.call_soon(self.flush)
        self._pieces.append(bytes(data))
        self._size += len(data)
        if self._size > PIECES:
            self.flush()

    def flush(self) -> None:
        """Hand on what has been written."""
        if not self._pieces:
            return
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        self._written += len(data)
        self._transport.write(data)
        if self.unread:
            self._look_after()

    def hurry(self) -> None:
        """Much of a stream waits."""
        self._look_away()
        self._seconds = STREAM_SECONDS
        self._look_after()

    def close(self) -> None:
        """Close once everything has been read, or is not."""
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once and keep nothing."""
        self._pieces.clear()
        with contextlib.suppress(OSError):
            self.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._transport.abort()

    def lost(self) -> None:
        """The connection is gone."""
        self._pieces.clear()
        self._look_away()

    @property
    def unread(self) -> int:
        """Bytes that wait here, beside those that the system has taken."""
        return self._transport.get_write_buffer_size()

    def _look_after(self) -> None:
        """Something waits: cut the client if it takes nothing for a while, and the slowest of all if too much waits."""
        if self._watch is None:
            self._taken = self._written - self.unread
            self._watch = self._loop.call_later(self._seconds or UNREAD_SECONDS, self._check)
            self.slow.add(self)
        if self.unread > PIECES and sum(each.unread for each in self.slow) > UNREAD_BYTES:
            max(self.slow, key=lambda each: each.unread).abort()

    def _look_away(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self.slow.discard(self)

    def _check(self) -> None:
        self._look_away()
        if not self.unread:
            self._seconds = 0.0
            return
        if self._written - self.unread > self._taken:
            self._look_after()
        else:
            self.abort()
