"""The page's files under `/web/VERSION/`, sent without their comments and needless spaces, a quarter of them.

The version is a hash of all files. A new version has new addresses, so browsers may keep each file for a year.
"""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles

from app.errors import NotFound

FOLDER = Path(__file__).parent.parent / "web"
# Everything comes from this service, and nothing is inline. No text can become markup: the only policy for Trusted Types makes
# the address of the service worker, so the browser itself refuses innerHTML and the like. The page draws pictures of texts as
# blobs. The form is for browsers without JavaScript.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types service-worker"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
ONE_YEAR = "public, max-age=31536000, immutable"
# Compressing a file takes a millisecond, once for each visitor and version, so it needs no thread.
COMPRESSED = [Middleware(GZipMiddleware)]
# Comments that have lines of their own, of style sheets and HTML.
COMMENTS = re.compile(r"^[ \t]*(?:/\*(?:(?!\*/)[\s\S])*\*/|<!--(?:(?!-->)[\s\S])*-->)[ \t]*\n", re.MULTILINE)
INDENTATION = re.compile(r"^[ \t]+|^\n", re.MULTILINE)
# Of a style sheet: before a brace, and after a brace or a sign. Before a colon, a space says something.
SPACES = re.compile(r"\s+(?=[{}])|(?<=[{}:;,])\s+")
NOT_ALONE = ("worker.js",)
"""Files that are sent at another address: app.api.installation."""


class PageFiles(NamedTuple):
    """`contents` by the files' names."""

    version: str
    contents: dict[str, bytes]


@cache
def read_files() -> PageFiles:
    """Read the page's files, a hundred kilobytes, when the first one is asked for."""
    # Python before 3.12 knows JavaScript by an outdated type, unless the system has a table of types, which the container lacks.
    mimetypes.add_type("text/javascript", ".js")
    contents = {path.name: lean(path) for path in sorted(FOLDER.iterdir()) if path.is_file()}
    version = hashlib.blake2b(b"".join(contents.values()), digest_size=8).hexdigest()
    return PageFiles(version, contents)


def lean(path: Path) -> bytes:
    """A file as it is sent."""
    from rjsmin import jsmin

    if path.suffix == ".png":
        return path.read_bytes()
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".js":
        return str(jsmin(text)).encode()
    text = INDENTATION.sub("", COMMENTS.sub("", text))
    return (SPACES.sub("", text) if path.suffix == ".css" else text).encode()


async def page_file(request: Request[Any]) -> Response:
    """One of the page's files. Raises NotFound."""
    current, contents = await asyncio.to_thread(read_files)
    version, name = request.path_params["version"], request.path_params["name"]
    if version != current:
        raise NotFound("the page has a new version: load / again.", code="not_found")
    if name not in contents or name.endswith(".html") or name in NOT_ALONE:
        raise NotFound(f"the page has no file {name}: load / again.", code="not_found")
    headers = SECURITY_HEADERS | {"Cache-Control": ONE_YEAR, "ETag": f'"{version}"'}
    media_type = mimetypes.guess_type(name)[0]
    return unless_known(request, Response(contents[name], media_type=media_type, headers=headers))


def unless_known(request: Request[Any], response: Response) -> Response:
    """The response, or 304 if the browser has it already."""
    unchanged = StaticFiles.is_not_modified(StaticFiles(check_dir=False), response.headers, request.headers)
    return NotModifiedResponse(response.headers) if unchanged else response
