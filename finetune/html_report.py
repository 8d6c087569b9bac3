"""Renders a report as one HTML file that needs no other, with Jinja.

The layout, macros and style sheet that all reports share are in report_layout/.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

UNIT = re.compile(r"(?<=\d) (?=(%|tokens?|words?|texts?|nats?|bits?|steps?|votes?|MB|GB|million)\b|%)|(?<=step) (?=\d)")
"""The blank between a number and its unit."""
HYPHEN = re.compile(r"(?<=\d)-(?=gram)")


def render_report(template: str, **values: object) -> str:
    """Render a template, named by its path below finetune/. All values are escaped except charts, which macros mark as safe."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "percent": lambda share: unbroken(percent(share)),
        "commas": commas,
        "unbroken": unbroken,
    }
    environment.filters |= filters
    return environment.get_template(template).render(values)


def unbroken(text: object) -> str:
    """No line ends between a number and its unit, or within a word such as 8-grams."""
    return HYPHEN.sub("\u2011", UNIT.sub("\u00a0", str(text)))


def percent(share: float) -> str:
    """0.1234 is 12.3 %. In a page the filter keeps it in one line."""
    return f"{100 * share:.1f} %"


def commas(number: float) -> str:
    """12345.6 is 12,346."""
    return f"{number:,.0f}"
