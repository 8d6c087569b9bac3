"""The web page: `/` for a browser, and the page's files under `/web/VERSION/`.

The version is a hash of all files. A new version has new addresses, so browsers may keep each file for a year.
"""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
from functools import cache
from html import escape
from pathlib import Path
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Match, Route
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

from app.api.foreign_parameters import is_foreign
from app.api.state import State
from app.engine.accent import on_dark
from app.engine.profile import Profile
from app.errors import NotFound

FOLDER = Path(__file__).parent.parent / "web"
INDEX, PREVIEW = "index.html", "preview.png"
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
FILES = StaticFiles(directory=FOLDER, check_dir=False)


NAME, ABOUT = "GPT-2", "Write a beginning, and the model continues it."
"""The title and the description of the page in index.html."""


class PageVersion(NamedTuple):
    """`html` is index.html, or another page, with the addresses of this version's files."""

    version: str
    html: str

    def titled(self, profile: Profile) -> PageVersion:
        """The page of a model, which has a title of its own, a line about it and an accent."""
        title, about = escape(profile.title or NAME), escape(profile.about or ABOUT)
        html = self.html
        if profile.accent:
            html = html.replace("<html ", f'<html data-accent="{profile.accent} {on_dark(profile.accent)}" ')
        for before, after in (
            (f">{NAME}<", f">{title}<"),
            (f'content="{NAME}"', f'content="{title}"'),
            (f'content="{ABOUT}"', f'content="{about}"'),
        ):
            html = html.replace(before, after)
        return PageVersion(f"{self.version}-{short_hash(title, about, profile.accent)}", html)

    def addressed(self, origin: str) -> PageVersion:
        """The page as other apps read it for a preview of a link. They need whole addresses."""
        html = self.html.replace('content="./"', f'content="{escape(origin)}/"')
        return PageVersion(self.version, html.replace(f'content="{PREVIEW}"', f'content="{escape(origin)}/{PREVIEW}"'))


def short_hash(*texts: str) -> str:
    return hashlib.blake2b("\n".join(texts).encode(), digest_size=4).hexdigest()


class BrowserRoute(Route):
    """A route for browsers. All other requests fall through to the next route with the same path."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child_scope = super().matches(scope)
        return (match, child_scope) if match is Match.FULL and wants_html(scope) else (Match.NONE, {})


def wants_html(scope: Scope) -> bool:
    """Whether a person opened this address in a browser: it prefers HTML to JSON, and the query, if any, is not for the API."""
    return is_browser(scope) and is_foreign(scope["query_string"])


def is_browser(scope: Scope) -> bool:
    """Whether HTML is preferred to JSON."""
    accepted = qualities(Headers(scope=scope).get("accept", ""))
    return accepted.get("text/html", 0.0) > accepted.get("application/json", 0.0)


def qualities(accept: str) -> dict[str, float]:
    """The media types of an Accept header with their quality values, 0 to 1."""
    found: dict[str, float] = {}
    for item in accept.lower().split(","):
        media_type, *parameters = (part.strip() for part in item.split(";"))
        quality = next((value[2:] for value in parameters if value.startswith("q=")), "1")
        try:
            found[media_type] = float(quality)
        except ValueError:
            found[media_type] = 0.0
    return found


@cache
def read_page(name: str = INDEX) -> PageVersion:
    """Read the page's files, a hundred kilobytes, when the page is first asked for. `name` is that of its HTML."""
    # Python before 3.12 knows JavaScript by an outdated type, unless the system has a table of types, which the container lacks.
    mimetypes.add_type("text/javascript", ".js")
    files = {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.is_file()}
    version = hashlib.blake2b(b"".join(files.values()), digest_size=8).hexdigest()
    return PageVersion(version, files[name].decode().replace('"web/', f'"web/{version}/'))


def origin(request: Request[State]) -> str:
    """The address at which this request reached the service. A proxy, such as Cloud Run's, speaks HTTPS in its place."""
    forwarded = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip()
    scheme = forwarded if forwarded in ("http", "https") else request.url.scheme
    return f"{scheme}://{request.headers.get('host', '')}"


def document_headers(request: Request[State]) -> dict[str, str]:
    """The headers of a page. Telegram's own pages may frame it where there is a bot, whose menu opens it there."""
    policy = CONTENT_SECURITY_POLICY
    if request.state["settings"].telegram_token:
        policy = policy.replace("frame-ancestors 'none'", "frame-ancestors https://*.telegram.org")
    return SECURITY_HEADERS | {"Content-Security-Policy": policy}


async def page(request: Request[State]) -> Response:
    """The page itself. Browsers ask every time whether it has changed."""
    files = await asyncio.to_thread(read_page)
    profile = request.state["models"].get().profile
    version, html = files.addressed(origin(request)).titled(profile)
    headers = document_headers(request) | {
        "Cache-Control": "no-cache",
        "ETag": f'"{version}"',
        "Vary": "Accept",
    }
    response = HTMLResponse(html, headers=headers)
    unchanged = FILES.is_not_modified(response.headers, request.headers)
    return NotModifiedResponse(response.headers) if unchanged else response


async def page_file(request: Request[State]) -> Response:
    """One of the page's files. Raises NotFound."""
    current, _ = await asyncio.to_thread(read_page)
    version, name = request.path_params["version"], request.path_params["name"]
    if version != current or name.endswith(".html"):
        raise NotFound("the page has a new version: load / again.", code="not_found")
    response = await FILES.get_response(name, request.scope)
    response.headers.update(SECURITY_HEADERS | {"Cache-Control": ONE_YEAR})
    return response
