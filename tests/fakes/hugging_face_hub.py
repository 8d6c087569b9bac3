"""The Hugging Face Hub on loopback: it answers for one model as the real one does, and fails on request.

Small files come from the Hub itself, behind a redirect to a relative address. Large ones come from another host, to which the
Hub redirects with the checksum in X-Linked-Etag; that host refuses a request with a token.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

NAME, FORMER_NAME = "openai-community/gpt2", "gpt2"
COMMIT = "607a30d783dfa663caf39e06633721c8d4cfcd7e"
LARGE = (".safetensors", ".bin")
WEIGHTS = "model.safetensors"


@dataclass
class Hub:
    """`asked` lists the requests, by path and range. The rest can be changed while it serves."""

    files: dict[str, bytes]
    revisions: dict[str, str] = field(default_factory=lambda: {"main": COMMIT, "refs/pr/7": COMMIT})
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    """The Authorization of each request."""
    refuse: tuple[int, Mapping[str, str]] | None = None
    """The status and the headers with which everything is answered."""
    refuse_files: tuple[int, Mapping[str, str]] | None = None
    cut: dict[str, int] = field(default_factory=dict)
    """How many times the connection breaks halfway through a file."""
    ranges: bool = True
    checksums: bool = True
    page: bool = False
    """Everything is answered with a web page, as a hotel's network does."""
    address: str = ""
    store: str = ""
    """The address of the host of large files."""

    @property
    def fetched(self) -> list[str]:
        """The files that were delivered, by their names."""
        return [path.rpartition("/")[2] for path, _ in self.asked if path.startswith(("/small/", "/large/"))]

    def take(self, folder: Path) -> None:
        """Serve the files of another folder."""
        self.files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}

    def description(self, commit: str) -> dict[str, object]:
        return {
            "id": NAME,
            "sha": commit,
            "private": False,
            "gated": False,
            "siblings": list(map(self.file, self.files)),
        }

    def file(self, name: str) -> dict[str, object]:
        content = self.files[name]
        if not self.checksums:
            return {"rfilename": name}
        if name.endswith(LARGE):
            lfs = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
            return {"rfilename": name, "size": len(content), "blobId": "0" * 40, "lfs": lfs}
        return {"rfilename": name, "size": len(content), "blobId": git_checksum(content)}


class Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves is no error."""


def git_checksum(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def hugging_face_hub(folder: Path) -> Iterator[Hub]:
    """Serve the files of a folder as NAME, on two hosts."""
    hub = Hub({})
    hub.take(folder)
    with ExitStack() as stack:
        servers = [Server(("127.0.0.1", 0), handler(hub)) for _ in range(2)]
        for server in servers:
            stack.enter_context(server)
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
            stack.callback(server.shutdown)
        hub.address, hub.store = (f"http://127.0.0.1:{server.server_port}" for server in servers)
        yield hub


def handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.asked.append((path, self.headers["Range"]))
            hub.tokens.append(self.headers["Authorization"])
            if hub.page:
                self.reply(200, b"<!doctype html><title>Welcome to our hotel</title>")
            elif hub.refuse:
                self.reply(hub.refuse[0], b"{}", **hub.refuse[1])
            elif path.startswith("/api/models/"):
                self.describe(path.removeprefix("/api/models/"))
            elif path.startswith(("/small/", "/large/")):
                self.deliver(path)
            else:
                self.redirect(path)

        def describe(self, path: str) -> None:
            name, _, revision = path.partition("/revision/")
            if name == FORMER_NAME:
                self.reply(307, b"", Location=f"/api/models/{NAME}/revision/{revision}?blobs=true")
            elif name != NAME:
                self.reply(401, b"{}", **{"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
            elif (commit := {**hub.revisions, COMMIT: COMMIT}.get(revision)) is None:
                self.reply(404, b"{}", **{"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"})
            else:
                self.reply(200, json.dumps(hub.description(commit)).encode())

        def redirect(self, path: str) -> None:
            name = path.rpartition("/")[2]
            if hub.refuse_files:
                return self.reply(hub.refuse_files[0], b"", **hub.refuse_files[1])
            if path != f"/{NAME}/resolve/{COMMIT}/{name}" or name not in hub.files:
                return self.reply(404, b"Entry not found", **{"X-Error-Code": "EntryNotFound"})
            content, large = hub.files[name], name.endswith(LARGE)
            etag = hashlib.sha256(content).hexdigest() if large else git_checksum(content)
            known = {"X-Repo-Commit": COMMIT, "X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(len(content))}
            if large:
                return self.reply(302, b"", Location=f"{hub.store}/large/{name}?signature=x", **known)
            return self.reply(307, b"", Location=f"/small/{name}", **known)

        def deliver(self, path: str) -> None:
            name, wanted = path.rpartition("/")[2], self.headers["Range"]
            content = hub.files[name]
            if path.startswith("/large/") and self.headers["Authorization"]:
                return self.reply(400, b"Only one auth mechanism allowed")
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and hub.ranges else 0
            if start and start >= len(content):
                return self.reply(416, b"")
            etag = {"ETag": f'"{hashlib.md5(content).hexdigest()}"', "Accept-Ranges": "bytes"}
            return self.reply(206 if start else 200, content[start:], name, **etag)

        def reply(self, status: int, body: bytes, name: str = "", **headers: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            for header, value in headers.items():
                self.send_header(header, value)
            self.end_headers()
            if hub.cut.get(name, 0):
                hub.cut[name] -= 1
                body = body[: len(body) // 2]
                self.close_connection = True
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    return Handler
