"""Charts of results/speed.json and load.json, for light and dark pages.

`python -m benchmarks.speed_charts` writes results/speed-light.png, speed-dark.png, load-light.png and load-dark.png.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.speed_figures import median
from benchmarks.speed_tables import PROMPTS, ROWS, result
from benchmarks.subject import RESULTS

THEMES = {"light": ("#ffffff", "#1f2328", "#d1d9e0"), "dark": ("#0d1117", "#e6edf3", "#3d444d")}
# Colours that keep apart for the colour-blind (Okabe and Ito), on both backgrounds.
PROGRAMS = {
    "8 bits, 16 rows": ("#0072b2", "-"),
    "8 bits": ("#56b4e9", "-"),
    "8 bits before": ("#8c959f", "--"),
    "CTranslate2 int8": ("#e69f00", "-"),
    "llama.cpp Q8_0": ("#009e73", "-"),
    "OpenVINO int8": ("#cc79a7", "-"),
}
SERVERS = {"8 rows": ("#0072b2", "-"), "one row": ("#56b4e9", "-"), "before": ("#8c959f", "--")}


def curve(axes: Any, xs: Sequence[int], ys: Sequence[float | None], label: str, style: tuple[str, str]) -> None:
    points = [(x, y) for x, y in zip(xs, ys, strict=True) if y is not None]
    if points:
        axes.plot(*zip(*points, strict=True), style[1], color=style[0], marker="o", markersize=4, label=label)


def scale(axes: Any, ticks: Sequence[int], title: str, below: str) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, map(str, ticks))
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(below)
    axes.grid(visible=True, axis="y", alpha=0.4)
    axes.spines[["top", "right"]].set_visible(False)


def paint_speed(panels: Sequence[Any]) -> None:
    programs = result("speed")["programs"]
    for name, style in PROGRAMS.items():
        cases = programs.get(name, {"cases": {}})["cases"]
        for axes, depth in zip(panels, (128, 900), strict=False):
            curve(axes, ROWS, [median(cases.get(f"write-{depth}x{rows}", [])) for rows in ROWS], name, style)
        curve(panels[2], PROMPTS, [median(cases.get(f"read-{length}", [])) for length in PROMPTS], name, style)
    for axes, depth in zip(panels, (128, 900), strict=False):
        scale(axes, ROWS, f"writing, tokens/s around token {depth}", "texts side by side")
    scale(panels[2], PROMPTS, "reading, tokens/s", "tokens of the prompt")


def paint_load(panels: Sequence[Any]) -> None:
    servers = result("load")["servers"]
    clients = [int(count) for count in next(iter(servers.values()))]
    paths = {"tokens/s of all clients": ("tokens_per_processor_s", ""), "ms to the first token": ("first_ms", "p50"),
             "ms between tokens, 99th percentile": ("gap_ms", "p99")}  # fmt: skip
    for axes, (title, (key, part)) in zip(panels, paths.items(), strict=True):
        for name, style in SERVERS.items():
            found = [
                median([window[key][part] if part else window[key] for window in windows if window.get(key)])
                for windows in servers.get(name, {}).values()
            ]
            curve(axes, clients[: len(found)], found, name, style)
        scale(axes, clients, title, "clients")


def colours(theme: str) -> dict[str, Any]:
    """Matplotlib's settings for a theme."""
    paper, ink, faint = THEMES[theme]
    return {"text.color": ink, "axes.labelcolor": ink, "xtick.color": ink, "ytick.color": ink, "axes.edgecolor": faint,
            "grid.color": faint, "axes.facecolor": paper, "figure.facecolor": paper, "font.size": 9}  # fmt: skip


def draw(name: str, theme: str, paint: Callable[[Sequence[Any]], None], folder: Path = RESULTS) -> Path:
    """Write a picture of three panels with one legend."""
    from finetune.charts import new_figure

    path = folder / f"{name}-{theme}.png"
    with new_figure(11, 3.6, **colours(theme)) as figure:
        panels = figure.subplots(1, 3)
        paint(panels)
        lines, labels = panels[0].get_legend_handles_labels()
        figure.legend(lines, labels, loc="outside lower center", ncols=len(labels), frameon=False)
        figure.savefig(path, dpi=150, metadata={"Software": ""})
    return path


CHARTS = {"speed": paint_speed, "load": paint_load}


def main(names: Sequence[str]) -> None:
    for name in names or CHARTS:
        for theme in THEMES:
            print(draw(name, theme, CHARTS[name]))


if __name__ == "__main__":
    main(sys.argv[1:])
