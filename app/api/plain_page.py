"""Pages that need no JavaScript: write a text at `/plain`, and what a browser shows at a wrong address."""

from __future__ import annotations

import asyncio
import json
from html import escape
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.api.body import parse_query
from app.api.error_responses import handle_routing_error, http_error
from app.api.foreign_parameters import is_tracking
from app.api.generate import generate
from app.api.page import NAME, is_browser
from app.api.page_files import SECURITY_HEADERS, read_files
from app.api.state import State
from app.errors import GenerationError, InvalidRequest, RequestError, Unauthorized

LAYOUT = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="{files}/icon.svg">
<link rel="stylesheet" href="{files}/style.css">
<link rel="stylesheet" href="{files}/plain.css">
</head>
<body>
<header><h1>{title}</h1></header>
<main>
{content}
</main>
</body>
</html>
"""
FORM = """<form class="plain" action="plain" method="get">
<label for="prefix">Your text, which the model continues</label>
<textarea id="prefix" name="prefix" rows="6" maxlength="4000">
{text}</textarea>
<button class="main">Continue</button>
</form>"""
NO_KEY = "This server asks for an API key: switch JavaScript on for its page to enter yours."
LOST = """<p>There is nothing at this address.</p>
<p><a href="{home}">Write with {title}</a></p>"""


async def plain(request: Request[State]) -> Response:
    """A form, and the continuation of what was written into it."""
    try:
        prefix = read_prefix(request)
        written = await continuation(request, prefix) if prefix else ""
    except (RequestError, GenerationError) as error:
        refusal = http_error(error) if isinstance(error, GenerationError) else error
        message = NO_KEY if isinstance(refusal, Unauthorized) else f"{str(refusal)[:1].upper()}{str(refusal)[1:]}"
        return await show(request, f'<p class="trouble">{escape(message)}</p>\n{form("")}', refusal)
    if not written:
        return await show(request, form(prefix))
    inks = f'<pre><span class="yours">{escape(prefix)}</span><span class="models">{escape(written)}</span></pre>'
    return await show(request, f"{inks}\n{form(prefix + written)}")


def read_prefix(request: Request[State]) -> str:
    """The text of the form. Raises RequestError."""
    fields = {
        name: value for name, value in parse_query(request.scope["query_string"]).items() if not is_tracking(name)
    }
    prefix = fields.pop("prefix", "")
    for name in fields:
        raise InvalidRequest(f"this form has no field {name}: /generate may take it.", param=name)
    # A form sends line ends in two characters.
    return prefix.replace("\r\n", "\n").rstrip(" ")


async def continuation(request: Request[State], prefix: str) -> str:
    """What the model writes after `prefix`. Raises RequestError, GenerationError."""
    request.state["access"].check(request, count=True)
    query = urlencode({"prefix": prefix, "include_prefix": "false"}).encode()
    reply = await generate(Request({**request.scope, "query_string": query}, request.receive))
    return str(json.loads(bytes(reply.body))["text"])


def form(text: str) -> str:
    return FORM.format(text=escape(text))


async def wrong_address(request: Request[Any], error: Exception) -> Response:
    """A small page for a person in a browser, who would not know what to do with an error object."""
    refusal = await handle_routing_error(request, error)
    if not is_browser(request.scope) or request.method not in ("GET", "HEAD"):
        return refusal
    title = request.state["models"].get().profile.title or NAME
    content = LOST.format(home=above(request), title=escape(title))
    response = await show(request, content)
    response.status_code = refusal.status_code
    if "allow" in refusal.headers:
        response.headers["Allow"] = refusal.headers["allow"]
    return response


def above(request: Request[State]) -> str:
    """The way from this address to the page, also where a proxy has put it below another path."""
    return "../" * (request.scope["path"].count("/") - 1) or "./"


async def show(request: Request[State], content: str, refusal: RequestError | None = None) -> Response:
    version = (await asyncio.to_thread(read_files)).version
    title = request.state["models"].get().profile.title or NAME
    html = LAYOUT.format(title=escape(title), files=f"{above(request)}web/{version}", content=content)
    headers = {**SECURITY_HEADERS, "Cache-Control": "no-store", **(refusal.headers if refusal else {})}
    return HTMLResponse(html, refusal.status if refusal else 200, headers=headers)
