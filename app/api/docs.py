"""`/openapi.json` and `/docs`: the description of the API, and Swagger UI to read it.

Swagger UI is served from here, not from another host. It and the description are loaded with the first request for them.
"""

from __future__ import annotations

import asyncio
import mimetypes
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.api.page_files import SECURITY_HEADERS
from app.api.state import State
from app.errors import NotFound

FILES = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
ONE_DAY = "public, max-age=86400"
# Swagger UI has its icons in its style sheet, and makes markup of what it is given: so here are no Trusted Types.
HEADERS = SECURITY_HEADERS | {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
}
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>API</title>
<link rel="icon" href="{up}docs/favicon-32x32.png">
<link rel="stylesheet" href="{up}docs/swagger-ui.css">
<div id="ui"></div>
<script src="{up}docs/swagger-ui-bundle.js"></script>
<script src="{up}docs/start.js"></script>
</html>
"""
# Without a validatorUrl of null, Swagger UI would send the description to a server on the internet.
START = b"""const description = new URL("../openapi.json", document.currentScript.src).href;
SwaggerUIBundle({url: description, dom_id: "#ui", validatorUrl: null});
"""


async def openapi(request: Request[State]) -> Response:
    settings = request.state["settings"]
    document = await asyncio.to_thread(describe_api, bool(settings.keys), settings.max_length)
    return Response(document, media_type="application/json")


def describe_api(needs_key: bool, max_length: int) -> bytes:
    """The OpenAPI document. On a thread, since the first call imports the module that makes it."""
    from app.api.openapi import describe

    return describe(needs_key, max_length)


async def docs(request: Request[State]) -> Response:
    # The addresses in the page are relative, since a proxy may serve all of this below a path of its own.
    path = request.scope["raw_path"]
    return HTMLResponse(PAGE.replace("{up}", "../" * (len(path) - len(path.rstrip(b"/")))), headers=HEADERS)


async def docs_file(request: Request[State]) -> Response:
    """A file of Swagger UI, or the script that starts it. Raises NotFound."""
    name = request.path_params["name"]
    content = START if name == "start.js" else await asyncio.to_thread(read_docs_file, name)
    return Response(content, media_type=mimetypes.guess_type(name)[0], headers={"Cache-Control": ONE_DAY})


def read_docs_file(name: str) -> bytes:
    """Raises NotFound."""
    import importlib.util

    # The package consists of Swagger UI's files and a module for Flask. It is only located, not imported.
    package = importlib.util.find_spec("flask_swagger_ui") if name in FILES else None
    if package is None or package.origin is None:
        raise NotFound(f"{name} is not part of /docs.", code="not_found")
    return (Path(package.origin).parent / "dist" / name).read_bytes()
