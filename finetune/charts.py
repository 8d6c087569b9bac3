"""Draws charts with Matplotlib as SVG, in the colours and the font of the page around them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Matplotlib knows only fixed colours. These stand for the page's own, which differ in light and dark.
INK, FAINT, MODEL, HUMAN = "#010101", "#020202", "#030303", "#040404"
PAGE_COLOURS = {INK: "currentColor", FAINT: "var(--faint)", MODEL: "var(--model)", HUMAN: "var(--human)"}

SETTLED = 0.05
"""The share of a run after which its losses decide what the axis holds."""


@contextmanager
def new_figure(width: float, height: float, **style: Any) -> Iterator[Figure]:
    """A figure of this size in inches, to be drawn and saved within the block.

    It has Matplotlib's own style with these changes, whatever a file matplotlibrc says. A $ in a text is a $.
    """
    from matplotlib import style as styles
    from matplotlib.figure import Figure

    with styles.context(["default", {"text.parse_math": False}, style]):
        yield Figure(figsize=(width, height), layout="constrained")


def draw(paint: Callable[[Axes], None]) -> str:
    """An SVG element with what `paint` draws. Matplotlib escapes all text in it."""
    style = {"svg.fonttype": "none", "svg.hashsalt": "report", "text.color": INK, "axes.labelcolor": INK}
    with new_figure(5.4, 3.2, **style) as figure:
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(FAINT)
        axes.tick_params(color=FAINT, labelcolor=INK)
        paint(axes)
        svg = StringIO()
        metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(svg, format="svg", transparent=True, metadata=metadata)
    return embed(svg.getvalue())


def embed(svg: str) -> str:
    """Turn an SVG file into an element of a page: without prolog, namespaces and fixed size, in the page's colours and font."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r' xmlns(:xlink)?="[^"]+"', "", svg)
    svg = re.sub(r"<svg [^>]*>", lambda tag: re.sub(r' (width|height)="[^"]+"', "", tag[0]), svg, count=1)
    svg = re.sub(r"font: ([\d.]+)px [^;\"]+", r"font-size: \1px", svg)
    svg = re.sub(r"font-family: [^;\"]+;?", "", svg)
    for fixed, own in PAGE_COLOURS.items():
        svg = svg.replace(fixed, own)
    return svg


def cut_first_steps(axes: Axes, *curves: Sequence[tuple[float, float]]) -> None:
    """Let the axis hold the losses after the first steps: those are so high that all others would be a line at the bottom."""
    last = max((step for curve in curves for step, _ in curve), default=0.0)
    late = [loss for curve in curves for step, loss in curve if step >= SETTLED * last and isfinite(loss)]
    low, high = min(late, default=0.0), max(late, default=1.0)
    room = 0.06 * (high - low) or 0.1
    axes.set_ylim(low - room, high + room)


def add_legend(axes: Axes, place: Literal["best", "upper left"] = "best") -> None:
    axes.legend(loc=place, labelcolor=INK, frameon=False)
