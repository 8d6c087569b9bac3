"""The web page: `/` for a person with a browser, and what the page is made of under `/web`."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from app.api.state import State
from app.errors import NotFound

FOLDER = Path(__file__).parent.parent / "web"
INDEX = "index.html"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Nothing from elsewhere, nothing inline, and no text ever becomes markup: without a policy for Trusted Types, the browser
# itself refuses innerHTML and its kin. Pictures of a text are made in the browser and are blobs.
POLICY = (
    "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
SECURITY = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
FOREVER = "public, max-age=31536000, immutable"


Endpoint = Callable[[Request[State]], Awaitable[Response]]


class File(NamedTuple):
    body: bytes
    gzipped: bytes
    etag: str
    content_type: str


class Site(NamedTuple):
    """What the page is made of, by name. Each version has addresses of its own, so browsers keep it for good."""

    version: str
    files: dict[str, File]


@cache
def read_site() -> Site:
    """Read and compress all of it, a hundred kilobytes, when somebody first asks for the page."""
    contents = {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.suffix in TYPES}
    version = digest(b"".join(contents.values()))
    contents[INDEX] = contents[INDEX].replace(b'"web/', f'"web/{version}/'.encode())
    return Site(version, {name: pack(name, body) for name, body in contents.items()})


def pack(name: str, body: bytes) -> File:
    return File(body, gzip.compress(body, mtime=0), digest(body), TYPES[Path(name).suffix])


def digest(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=8).hexdigest()


def page_or(endpoint: Endpoint) -> Endpoint:
    """The page for a browser that opens `/`; for everybody else what `endpoint` says."""

    async def home(request: Request[State]) -> Response:
        if not wants_page(request):
            return await endpoint(request)
        site = await asyncio.to_thread(read_site)
        return answer(request, site.files[INDEX], "no-cache")

    return home


async def part(request: Request[State]) -> Response:
    site = await asyncio.to_thread(read_site)
    version, name = request.path_params["version"], request.path_params["name"]
    if version != site.version or name not in site.files or name == INDEX:
        raise NotFound("the page is made of other files by now: load / again.", code="not_found")
    return answer(request, site.files[name], FOREVER)


def wants_page(request: Request[State]) -> bool:
    if request.method not in ("GET", "HEAD") or request.scope["query_string"]:
        return False
    accepted = qualities(request.headers.get("accept", ""))
    return accepted.get("text/html", 0.0) > accepted.get("application/json", 0.0)


def qualities(accept: str) -> dict[str, float]:
    """How much each type of an Accept header is wanted, 0 to 1."""
    found: dict[str, float] = {}
    for entry in accept.lower().split(","):
        kind, *parameters = (piece.strip() for piece in entry.split(";"))
        quality = next((value[2:] for value in parameters if value.startswith("q=")), "1")
        try:
            found[kind] = float(quality)
        except ValueError:
            found[kind] = 0.0
    return found


def answer(request: Request[State], file: File, kept: str) -> Response:
    """The file, gzipped where that is understood, or 304 where the browser has it already."""
    zipped = qualities(request.headers.get("accept-encoding", "")).get("gzip", 0.0) > 0
    etag = f'"{file.etag}-gzip"' if zipped else f'"{file.etag}"'
    headers = SECURITY | {"Cache-Control": kept, "ETag": etag, "Vary": "Accept, Accept-Encoding"}
    # A proxy that compresses makes an ETag weak.
    known = [name.strip().removeprefix("W/") for name in request.headers.get("if-none-match", "").split(",")]
    if etag in known:
        return Response(status_code=304, headers=headers)
    if zipped:
        headers["Content-Encoding"] = "gzip"
    return Response(file.gzipped if zipped else file.body, media_type=file.content_type, headers=headers)
