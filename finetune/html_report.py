"""Renders a report as one HTML file that needs no other, with Jinja.

The layout, macros and style sheet that all reports share are in report_layout/.
"""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


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
    environment.filters |= {"percent": percent, "commas": commas}
    return environment.get_template(template).render(values)


def percent(share: float) -> str:
    """0.1234 is 12.3 %."""
    return f"{100 * share:.1f} %"


def commas(number: float) -> str:
    """12345.6 is 12,346."""
    return f"{number:,.0f}"
