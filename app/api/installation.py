"""What makes the page an app on a phone: its web manifest, its service worker, and the picture for previews of links."""

from __future__ import annotations

import asyncio
from functools import lru_cache

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.api.page import ABOUT, NAME, PageVersion, read_page
from app.api.page_files import SECURITY_HEADERS, read_files
from app.api.preview_picture import PAPER, PEN, draw_preview
from app.api.state import State

WORKER = "worker.js"
KEPT = b'{"version":"","files":[]}'
"""What worker.js, without its spaces, has in the place of the version and its files."""
KEPT_KINDS = (".js", ".css", ".svg")
LONGEST_SHORT_NAME = 12
"""Characters. Longer names are cut below an icon."""
NO_CACHE = SECURITY_HEADERS | {"Cache-Control": "no-cache"}
ONE_DAY = SECURITY_HEADERS | {"Cache-Control": "public, max-age=86400"}
draw_preview_once = lru_cache(maxsize=8)(draw_preview)


async def web_manifest(request: Request[State]) -> Response:
    """The page as an app: https://www.w3.org/TR/appmanifest/."""
    profile = request.state["models"].get().profile
    version = (await asyncio.to_thread(read_page)).version
    title = profile.title or NAME
    icons = [icon(version, "icon-192.png", 192), icon(version, "icon-512.png", 512)]
    told = {
        "id": "./",
        "name": title,
        "short_name": title if len(title) <= LONGEST_SHORT_NAME else short_name(title),
        "description": profile.about or ABOUT,
        "start_url": "./",
        "scope": "./",
        "display": "standalone",
        "background_color": PAPER,
        "theme_color": profile.accent or PEN,
        "icons": [*icons, icon(version, "icon-maskable.png", 512) | {"purpose": "maskable"}],
    }
    return Response(msgspec.json.encode(told), media_type="application/manifest+json", headers=NO_CACHE)


def short_name(title: str) -> str:
    """The title's first words, as many as fit below an icon."""
    words = ""
    for word in title.split():
        if words and len(f"{words} {word}") > LONGEST_SHORT_NAME:
            break
        words = f"{words} {word}".strip()
    return words[:LONGEST_SHORT_NAME]


def icon(version: str, name: str, size: int) -> dict[str, str]:
    return {"src": f"web/{version}/{name}", "sizes": f"{size}x{size}", "type": "image/png"}


async def service_worker(request: Request[State]) -> Response:
    """The worker of this version. It stands beside the page, since a worker controls only what is below its own address."""
    page = (await asyncio.to_thread(read_page)).titled(request.state["models"].get().profile)
    return Response(worker_script(page), media_type="text/javascript", headers=NO_CACHE)


def worker_script(page: PageVersion) -> bytes:
    version, contents = read_files()
    # The game cannot be played without the server.
    names = [name for name in contents if name.endswith(KEPT_KINDS) and name != WORKER and not name.startswith("play.")]
    kept = {"version": page.version, "files": [f"web/{version}/{name}" for name in names]}
    return contents[WORKER].replace(KEPT, msgspec.json.encode(kept))


async def preview(request: Request[State]) -> Response:
    profile = request.state["models"].get().profile
    title, about = profile.title or NAME, profile.about or ABOUT
    picture = await asyncio.to_thread(draw_preview_once, title, about, profile.accent)
    return Response(picture, media_type="image/png", headers=ONE_DAY)
