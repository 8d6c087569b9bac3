"""The web page: `/` for a browser."""

from __future__ import annotations

import asyncio
import hashlib
from html import escape
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope

from app.api.foreign_parameters import is_foreign
from app.api.page_files import CONTENT_SECURITY_POLICY, SECURITY_HEADERS, read_files, unless_known
from app.api.state import State
from app.engine.accent import on_dark
from app.engine.profile import Profile

INDEX, PREVIEW = "index.html", "preview.png"
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


def read_page(name: str = INDEX) -> PageVersion:
    """The page whose HTML has this name."""
    version, files = read_files()
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
    return unless_known(request, HTMLResponse(html, headers=headers))
