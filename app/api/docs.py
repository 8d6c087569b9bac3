"""`/openapi.json` describes the API, `/docs` shows that description: Swagger UI, from here and from no other address.

Nothing of it is imported or read before somebody asks.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

from app.api.state import State
from app.errors import NotFound

FILES = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
# validatorUrl would ask a server of Swagger's what it thinks of the description.
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>API</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
<div id="ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({url: "openapi.json", dom_id: "#ui", validatorUrl: null})</script>
</html>
"""


async def openapi(request: Request[State]) -> Response:
    document = await asyncio.to_thread(described, bool(request.state["settings"].keys))
    return Response(document, media_type="application/json")


def described(keys_asked_for: bool) -> bytes:
    from app.api.openapi import describe

    return describe(keys_asked_for)


async def docs(request: Request[State]) -> Response:
    return HTMLResponse(PAGE)


async def docs_file(request: Request[State]) -> Response:
    import importlib.util

    name = request.path_params["name"]
    # The package has Swagger UI's files, and a program for Flask that stays unread.
    found = importlib.util.find_spec("flask_swagger_ui") if name in FILES else None
    if found is None or found.origin is None:
        raise NotFound(f"{name} is not part of /docs.", code="not_found")
    path = Path(found.origin).parent / "dist" / name
    return FileResponse(path, headers={"Cache-Control": "public, max-age=86400"})
