"""The generated parts of README.md and docs/*.md: tables, trees and lists that are made from the code.

    python -m docs.generate            rewrite them
    python -m docs.generate --check    change nothing; exit code 1 and the names of the pages that are out of date

A page holds `<!-- generated: NAME ARGUMENTS -->`, then what PARTS[NAME] returns, then `<!-- end -->`.
"""

from __future__ import annotations

import json
import re
import sys
from argparse import Action
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from docs.file_tree import folders, tree

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"(<!-- generated: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)
Schema = dict[str, Any]
# Routes that are not in the OpenAPI description: path to methods and what they do.
OTHER_ROUTES = {
    "/telegram": ("`POST`", "An update from Telegram, with its secret"),
    "/web/{version}/{name}": ("`GET`", "The files of the page"),
    "/openapi.json": ("`GET`", "The description of the API, as OpenAPI 3.1"),
    "/docs": ("`GET`", "The same for people, in Swagger UI"),
    "/docs/{name}": ("`GET`", "Swagger UI's files"),
}


def main(arguments: list[str]) -> int:
    stale = {page: text for page in pages() if (text := rendered(page)) != page.read_text(encoding="utf-8")}
    for page, text in stale.items():
        if "--check" in arguments:
            print(f"{page.relative_to(ROOT)} is out of date: run `make docs`.", file=sys.stderr)
        else:
            page.write_text(text, encoding="utf-8")
    return 1 if stale and "--check" in arguments else 0


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def rendered(page: Path) -> str:
    """The page's text with every generated part renewed."""

    def renew(block: re.Match[str]) -> str:
        name, *arguments = block[2].split()
        return f"{block[1]}{PARTS[name](*arguments)}\n{block[3]}"

    return BLOCK.sub(renew, page.read_text(encoding="utf-8"))


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)


def code(value: object) -> str:
    """A value as the page shows it; nothing for a value that is empty."""
    return "" if value is None or value == [] else f"`{value}`" if value != "" else "empty"


# Settings and options.


def settings() -> str:
    from app.settings import Settings, meanings

    defaults = {field.name.upper(): field.default for field in msgspec.structs.fields(Settings)}
    rows = [(f"`{name}`", code(defaults[name]), meaning) for name, meaning in meanings().items()]
    return table(("variable", "default", "meaning"), rows)


def verbs() -> dict[str, Any]:
    """The parser of each verb of `python -m finetune`."""
    from finetune.__main__ import verb_parsers

    return dict(verb_parsers())


def options(verb: str) -> str:
    from finetune.__main__ import options_of

    return table(("option", "default", "meaning"), map(option, options_of(verbs()[verb])))


def option(action: Action) -> tuple[str, str, str]:
    name = action.option_strings[0] if action.option_strings else action.dest.upper()
    default = "required" if action.required else "off" if action.default is False else code(action.default)
    return f"`{name}`", default, re.sub(r"\s+", " ", action.help or "")


def verb_list() -> str:
    return table(("verb", "what it does"), [(f"`{name}`", verb.description) for name, verb in verbs().items()])


# The API.


def openapi() -> Schema:
    from app.api.openapi import describe

    document: Schema = json.loads(describe(needs_key=True))
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


def fields(path: str) -> str:
    """The fields of a POST to this path."""
    document = openapi()
    body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    schema = document["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    known = {name: (field, said) for name, field in schema["properties"].items() if (said := description_of(field))}
    required = schema.get("required", [])
    rows = (
        (f"`{name}`", "required" if name in required else default_of(field), f"{said}{limits_of(field)}")
        for name, (field, said) in known.items()
    )
    return table(("field", "default", "meaning"), rows)


def choices_of(field: Schema) -> list[Schema]:
    return [field, *field.get("anyOf", [])]


def description_of(field: Schema) -> str:
    """Empty for a field that is accepted for other programs' sake and changes nothing."""
    return next((choice["description"] for choice in choices_of(field) if "description" in choice), "")


def default_of(field: Schema) -> str:
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


# Packages and queries.


def dependencies(name: str) -> str:
    """The packages of requirements/NAME.in, each with the reason that stands behind it."""
    lines = (ROOT / f"requirements/{name}.in").read_text(encoding="utf-8").splitlines()
    found = [re.fullmatch(r"([a-z][\w-]*)\S*\s+# (.+)", line) for line in lines if line and line[0] not in "#-"]
    return table(("package", "why it is here"), [(match[1], match[2]) for match in found if match])


def queries() -> str:
    """The questions of bq_queries/, with their parameters."""
    from finetune.fetch.query import query_names, read_query

    rows = []
    for query in map(read_query, query_names()):
        question = query.text.partition("\n")[0].removeprefix("-- ")
        given = ", ".join(f"`{parameter.name}`={code(parameter.default)}" for parameter in query.parameters)
        rows.append((f"`{query.name}`", question, given))
    return table(("query", "what it asks", "parameters and their defaults"), rows)


def guardrails() -> str:
    from finetune.fetch.guardrails import GUARDRAILS

    return table(("guardrail", "drops"), [(f"`{guardrail.name}`", guardrail.meaning) for guardrail in GUARDRAILS])


def sources() -> str:
    """What `fetch` reads besides queries, with the parameters of each."""
    from finetune.fetch.named_source import SOURCE_KINDS
    from finetune.fetch.parameters import parameters_of

    rows = [
        (f"`{name}`", kind.meaning, "; ".join(f"`{each.name}`: {each.meaning}" for each in parameters_of(kind.options)))
        for name, kind in SOURCE_KINDS.items()
    ]
    return table(("source", "reads", "`--param`"), rows)


PARTS: dict[str, Callable[..., str]] = {
    "settings": settings, "verbs": verb_list, "options": options, "routes": routes, "fields": fields, "tree": tree,
    "folders": folders, "dependencies": dependencies, "queries": queries,
    "guardrails": guardrails, "sources": sources,
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
