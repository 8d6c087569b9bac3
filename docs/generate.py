"""The generated parts of README.md and docs/*.md: tables, trees and lists that are made from the code.

    python -m docs.generate            rewrite them
    python -m docs.generate --check    change nothing; exit code 1 and the names of the pages that are out of date

A page holds `<!-- generated: NAME ARGUMENTS -->`, then what PARTS[NAME] returns, then `<!-- end -->`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from cyclopts.argument import Argument

from docs.api_tables import fields, routes
from docs.file_tree import folders, tree
from docs.markdown import code, table

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"(<!-- generated: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)


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


# Settings and options.


def settings() -> str:
    from app.settings import Settings, meanings

    defaults = {field.name.upper(): field.default for field in msgspec.structs.fields(Settings)}
    rows = [(f"`{name}`", code(defaults[name]), meaning) for name, meaning in meanings().items()]
    return table(("variable", "default", "meaning"), rows)


def options(verb: str) -> str:
    from finetune.command_line import options_of

    return table(("option", "default", "meaning"), map(option, options_of(verb)))


def option(argument: Argument) -> tuple[str, str, str]:
    from finetune.usage_errors import shown_name

    field, shown = argument.field_info, argument.parameter.show_default
    # The options of `serve` have no defaults of their own: they leave the settings as they are.
    value = shown(None) if field.default is None and callable(shown) else field.default
    default = "required" if field.required else "off" if value is False else code(value)
    return f"`{shown_name(argument)}`", default, re.sub(r"\s+", " ", argument.parameter.help or "")


def verb_list() -> str:
    from finetune.command_line import VERBS, purpose

    return table(("verb", "what it does"), [(f"`{name}`", purpose(verb)) for name, verb in VERBS.items()])


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


def parameter(given: Any) -> str:
    return f"`{given.name}`{f' ({code(given.default)})' if given.default else ''}: {given.meaning}"


def sources() -> str:
    """What `fetch` reads besides queries, with the parameters of each and their defaults."""
    from finetune.fetch.named_source import SOURCE_KINDS
    from finetune.fetch.parameters import parameters_of

    rows = [
        (f"`{name}`", kind.meaning, "; ".join(map(parameter, parameters_of(kind.options))))
        for name, kind in SOURCE_KINDS.items()
    ]
    return table(("source", "reads", "`--param`"), rows)


def googlesql() -> str:
    """What of GoogleSQL runs on files: the names that the compiler knows."""
    from finetune.fetch.googlesql.aggregates import AGGREGATES, GATHERING, WINDOW_FUNCTIONS
    from finetune.fetch.googlesql.calendar_functions import CALENDAR_FUNCTIONS
    from finetune.fetch.googlesql.casts import CERTAIN, FALLIBLE
    from finetune.fetch.googlesql.message_format import FORMAT
    from finetune.fetch.googlesql.number_functions import NUMBER_FUNCTIONS
    from finetune.fetch.googlesql.regular_expressions import REGULAR_EXPRESSIONS
    from finetune.fetch.googlesql.text_functions import TEXT_FUNCTIONS
    from finetune.fetch.googlesql.time_formats import DATE_ELEMENTS, DATE_SQL, TIME_ELEMENTS, TIME_SQL, UTC_ELEMENTS

    elements = {*DATE_ELEMENTS, *DATE_SQL, *TIME_ELEMENTS, *TIME_SQL, *UTC_ELEMENTS}
    rows = [
        ("functions of texts", [*TEXT_FUNCTIONS, *REGULAR_EXPRESSIONS, *FORMAT]),
        ("functions of numbers, conditions, arrays", NUMBER_FUNCTIONS),
        ("functions of dates and timestamps", CALENDAR_FUNCTIONS),
        ("aggregates", [*AGGREGATES, *GATHERING]),
        ("only with `OVER`", WINDOW_FUNCTIONS),
        ("`CAST`, `SAFE_CAST`", [f"{source} AS {target}" for source, target in (*CERTAIN, *FALLIBLE)]),
        ("elements of `FORMAT_DATE` and `FORMAT_TIMESTAMP`", [f"%{element}" for element in elements]),
    ]
    return table(
        ("kind", "what runs on files"),
        [(kind, ", ".join(f"`{name}`" for name in sorted(names))) for kind, names in rows],
    )


def figures(name: str) -> str:
    """A table of what benchmarks/results has measured."""
    from benchmarks.speed_tables import figures

    return figures(name)


def attacks() -> str:
    """What `make torture` measured."""
    from benchmarks.torture import compared

    return table(("attack", "figure", "at most", "before", "now"), compared())


PARTS: dict[str, Callable[..., str]] = {
    "settings": settings, "verbs": verb_list, "options": options, "routes": routes, "fields": fields, "tree": tree,
    "folders": folders, "dependencies": dependencies, "queries": queries,
    "guardrails": guardrails, "figures": figures, "sources": sources, "googlesql": googlesql,
    "attacks": attacks,
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
