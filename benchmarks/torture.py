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


def compared() -> list[tuple[str, str, str, str, str]]:
    """Rows for a page: the attack, the figure, how much it may be, before, and now. Only figures with a limit."""
    before = {figure[:2]: figure.value for figure in load(RESULTS / "torture-before.json")}
    return [
        (
            attack,
            what,
            f"{limit:,g}",
            f"{before[attack, what]:,.3g}" if (attack, what) in before else "",
            f"{value:,.3g}",
        )
        for attack, what, value, limit in load(RESULTS / "torture.json")
        if limit is not None
    ]


def paint(axes: Any) -> None:
    """Bars of figures that may be more than nothing, on a logarithmic scale whose line at 1 is the limit."""
    figures = [figure for figure in load(RESULTS / "torture.json") if figure.limit]
    before = {figure[:2]: figure.value for figure in load(RESULTS / "torture-before.json")}
    for place, (attack, what, value, limit) in enumerate(reversed(figures)):
        assert limit
        earlier = before.get((attack, what))
        if earlier is not None:
            axes.plot(max(earlier / limit, LEAST), place, "o", color="#e69f00", label="before" if place == 0 else None)
        axes.barh(place, max(value / limit, LEAST), color="#0072b2", height=0.5, label="now" if place == 0 else None)
    axes.set_yticks(range(len(figures)), [f"{figure.attack}: {figure.what}" for figure in reversed(figures)])
    axes.axvline(1, color="#cc79a7")
    axes.set_xscale("log")
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
