"""What the attacks of `make torture` measured: results/torture.json, its tables and its chart.

`python -m benchmarks.torture` draws results/torture-light.png and torture-dark.png: each figure as a share of what it may be, and
beside it that of the version before (torture-before.json).
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.subject import RESULTS, machine

NAME = os.environ.get("TORTURE", "torture")
"""The result's name, such as torture-before for the figures of an earlier version."""

LEAST = 1e-3
"""A bar of nothing is not seen on a logarithmic scale."""


class Figure(NamedTuple):
    """`value` of `what` in an attack, and the most that it may be."""

    attack: str
    what: str
    value: float
    limit: float | None = None


def keep(figures: Sequence[Figure]) -> Path:
    """Write the figures, in place of earlier ones of the same attacks. Returns the file."""
    path = RESULTS / f"{NAME}.json"
    attacks = {figure.attack for figure in figures}
    others = [figure for figure in load(path) if figure.attack not in attacks]
    rows = sorted([*others, *figures], key=lambda figure: figure.attack)
    content = {"benchmark": "torture", "machine": machine(), "figures": [figure._asdict() for figure in rows]}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def load(path: Path) -> list[Figure]:
    if not path.exists():
        return []
    return [Figure(**row) for row in json.loads(path.read_text(encoding="utf-8"))["figures"]]


def table(figures: Sequence[Figure]) -> str:
    """Lines for a terminal: the attack, the figure, its limit, and whether it holds."""
    lines = []
    for attack, what, value, limit in figures:
        bound = "" if limit is None else f"at most {limit:,g}: {'holds' if value <= limit else 'MISSED'}"
        lines.append(f"{attack:<22} {what:<58} {value:>12,g}  {bound}".rstrip())
    return "\n".join(lines)


def worst(name: str) -> dict[tuple[str, str, float], tuple[Figure, int]]:
    """Of each attack's figures with one limit and one unit, the largest, and how many there are."""
    found: dict[tuple[str, str, float], tuple[Figure, int]] = {}
    for figure in load(RESULTS / f"{name}.json"):
        if figure.limit is not None:
            key = (figure.attack, unit(figure.what), figure.limit)
            largest, count = found.get(key, (figure, 0))
            found[key] = (max(largest, figure, key=lambda each: each.value), count + 1)
    return found


def unit(what: str) -> str:
    """`ms` of `the longest, ms`; nothing where things are counted."""
    measured = what.rpartition(": ")[2]
    return measured.rpartition(", ")[2] if ", " in measured else ""


def compared() -> list[tuple[str, str, str, str, str]]:
    """Rows for a page: the attack, its largest figure, how much it may be, the largest before, and now."""
    before, rows = worst("torture-before"), []
    for key, (figure, count) in worst("torture").items():
        what = figure.what if count == 1 else f"{figure.what} (the largest of {count})"
        earlier = f"{before[key][0].value:,.3g}" if key in before else ""
        rows.append((figure.attack, what, f"{figure.limit:,g}", earlier, f"{figure.value:,.3g}"))
    return rows


def paint(axes: Any) -> None:
    """Bars of figures that may be more than nothing, on a logarithmic scale whose line at 1 is the limit."""
    before = worst("torture-before")
    figures = [(key, figure) for key, (figure, _) in worst("torture").items() if figure.limit]
    for place, (key, figure) in enumerate(reversed(figures)):
        limit = key[2]
        axes.barh(place, max(figure.value / limit, LEAST), color="#0072b2", height=0.5, label="" if place else "now")
        if key in before:
            earlier = max(before[key][0].value / limit, LEAST)
            axes.plot(earlier, place, "o", color="#e69f00", label="" if place else "before")
    axes.set_yticks(range(len(figures)), [f"{figure.attack}: {figure.what}" for _, figure in reversed(figures)])
    axes.axvline(1, color="#cc79a7")
    axes.set_xscale("log")
    axes.set_xticks([0.001, 0.01, 0.1, 1, 10], ["0.1 %", "1 %", "10 %", "100 %", "1000 %"])
    axes.minorticks_off()
    axes.set_xlabel("share of the most that it may be, on a logarithmic scale")
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    from benchmarks.speed_charts import THEMES, colours
    from finetune.charts import new_figure

    for theme in THEMES:
        path = RESULTS / f"torture-{theme}.png"
        with new_figure(9, 6, **colours(theme)) as figure:
            paint(figure.subplots())
            figure.savefig(path, dpi=150, metadata={"Software": ""})
        print(path)


if __name__ == "__main__":
    main()
