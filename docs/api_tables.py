"""Tables of the API's routes and fields, from its own OpenAPI description."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from docs.markdown import table

ROOT = Path(__file__).parent.parent
Schema = dict[str, Any]
# Routes that are not in the OpenAPI description: path to methods and what they do.
OTHER_ROUTES = {
    "/telegram": ("`POST`", "An update from Telegram, with its secret"),
    "/web/{version}/{name}": ("`GET`", "The files of the page"),
    "/plain": ("`GET`", "The page for browsers without JavaScript"),
    "/preview.png": ("`GET`", "The picture that other apps show beside a link to the page"),
    "/manifest.webmanifest": ("`GET`", "The page as an app, for phones"),
    "/worker.js": ("`GET`", "The page's service worker, which keeps it for reading offline"),
    "/openapi.json": ("`GET`", "The description of the API, as OpenAPI 3.1"),
    "/docs": ("`GET`", "The same for people, in Swagger UI"),
    "/docs/{name}": ("`GET`", "Swagger UI's files"),
}


def openapi() -> Schema:
    from app.api.openapi import describe

    # MAX_LENGTH is a limit of a service, not of the API.
    document: Schema = json.loads(describe(needs_key=True, max_length=2**31 - 1))
    return document


def routes() -> str:
    paths = re.findall(r'Route\("([^"]+)"', (ROOT / "app/application.py").read_text(encoding="utf-8"))
    described = openapi()["paths"]
    rows = [route(path, described.get(path.replace(":path", ""))) for path in dict.fromkeys(paths)]
    return table(("route", "methods", "what it does"), rows)


def route(path: str, described: Schema | None) -> tuple[str, str, str]:
    shown = f"`{path.replace(':path', '')}`"
    if described is None:
        return shown, *OTHER_ROUTES[path]
    methods = ", ".join(f"`{method.upper()}`" for method in sorted(described))
    return shown, methods, next(iter(described.values()))["summary"].rstrip(".")


def fields(name: str) -> str:
    """The fields of a POST to the path of this name, or of the type of this name."""
    document = openapi()
    schema = request_schema(document, name) if name.startswith("/") else document["components"]["schemas"][name]
    known = {name: (field, said) for name, field in schema["properties"].items() if (said := description_of(field))}
    required = schema.get("required", [])
    rows = (
        (f"`{name}`", "required" if name in required else default_of(field), f"{said}{limits_of(field)}")
        for name, (field, said) in known.items()
    )
    return table(("field", "default", "meaning"), rows)


def request_schema(document: Schema, path: str) -> Schema:
    """The schema of a request. Of several kinds of requests, the first is this project's own."""
    body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    name = body.get("anyOf", [body])[0]["$ref"].rpartition("/")[2]
    found: Schema = document["components"]["schemas"][name]
    return found


def choices_of(field: Schema) -> list[Schema]:
    return [field, *field.get("anyOf", [])]


def description_of(field: Schema) -> str:
    """Empty for a field that is accepted for other programs' sake and changes nothing."""
    from app.api.openapi import MODELS_OWN

    said = next((choice["description"] for choice in choices_of(field) if "description" in choice), "")
    return str(said).partition(MODELS_OWN)[0]


def default_of(field: Schema) -> str:
    if "x-otherwise" in field:
        return f"the model's, else `{json.dumps(field['x-otherwise'])}`"
    default = field.get("default")
    return "none" if default is None else f"`{json.dumps(default, ensure_ascii=False)}`"


def limits_of(field: Schema) -> str:
    """`; 1 to 128`, `; at least 1`, `; up to 64 characters`; nothing for a bound that only keeps numbers in 32 or 64 bits."""
    for schema in choices_of(field):
        least = schema.get("minimum", schema.get("exclusiveMinimum"))
        most = schema.get("maximum", schema.get("exclusiveMaximum"))
        if most is not None and most < 2**31 - 1:
            return f"; {'above ' if 'exclusiveMinimum' in schema else ''}{least} to {most}".replace("-", "−")
        if least and least > -(2**31):
            return f"; at least {least}".replace("-", "−")
        if "maxLength" in schema:
            return f"; up to {schema['maxLength']:,} characters"
    return ""
