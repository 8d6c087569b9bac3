"""Many clients at once: each a connection that asks one request after the other, on one event loop."""

from __future__ import annotations

import asyncio
import json
from typing import Any, NamedTuple

import httpx


class Answer(NamedTuple):
    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def refused(self) -> bool:
        """Whether it is a refusal of an overloaded server, as it should be."""
        return self.status == 503 and int(self.headers["retry-after"]) >= 1


class Client:
    """A client of 127.0.0.1, whose connection is kept while the server keeps it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, fields: object = None) -> Answer:
        """The answer to a request. Raises OSError, EOFError if there is none."""
        reader, headers, status = await self.begin(method, path, fields)
        body = await read_body(reader, headers)
        if headers.get("connection") == "close":
            self.close()
        return Answer(status, headers, body)

    async def begin(
        self, method: str, path: str, fields: object = None
    ) -> tuple[asyncio.StreamReader, httpx.Headers, int]:
        """Ask, and read the head of the answer."""
        if self._streams is None or self._streams[0].at_eof():
            self.close()
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=2**24)
        reader, writer = self._streams
        content = b"" if fields is None else json.dumps(fields).encode()
        writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content
        )
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = [line.split(": ", 1) for line in lines if line]
        return reader, httpx.Headers([(name, value) for name, value in pairs]), int(first.split()[1])

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def read_body(reader: asyncio.StreamReader, headers: httpx.Headers) -> bytes:
    if "transfer-encoding" not in headers:
        return await reader.readexactly(int(headers.get("content-length", 0)))
    pieces = []
    while size := int(await reader.readline(), 16):
        pieces.append((await reader.readexactly(size + 2))[:-2])
    await reader.readline()
    return b"".join(pieces)


def text_of(answer: Answer) -> str:
    """The text of a completion, streamed or whole."""
    if not answer.headers["content-type"].startswith("text/event-stream"):
        whole: dict[str, Any] = json.loads(answer.body)
        return str(whole["choices"][0]["text"])
    events = [json.loads(line[6:]) for line in answer.body.decode().splitlines() if line.startswith("data: {")]
    return "".join(choice["text"] for event in events for choice in event["choices"])
