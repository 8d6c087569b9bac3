"""report.html: what people liked, to look at. One file that asks for no other, in light and in dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import starmap
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import numpy as np

from finetune.evaluation.report_page import HUMAN, INK, MODEL, draw, figure
from finetune.votes.like_rates import Comparison, Share, Votes, all_pairs, best_texts, by_origin, by_time, verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"model": MODEL, "human": HUMAN}
Texts = Mapping[str, tuple[str, str]]


def render(votes: Votes, store: str, texts: Texts) -> str:
    """`texts`: the prompt and the text of each of the best, by its id."""
    page = Template(Path(__file__).with_name("votes_page.html").read_text(encoding="utf-8"))
    style = Path(__file__).parent.with_name("evaluation") / "report_page.css"
    shares = by_origin(votes)
    unit, course = by_time(votes)
    plots = {
        "How many of the votes are likes, and the interval that holds the true share 95 times of 100.": draw(
            lambda axes: draw_shares(axes, shares)
        ),
        f"The same by {unit}.": draw(lambda axes: draw_course(axes, course)),
    }
    return page.substitute(
        style=style.read_text(encoding="utf-8"),
        about=escape(f"{len(votes):,} votes · {votes.day.min()} to {votes.day.max()} · {store}"),
        verdict=escape(verdict(votes)),
        plots="".join(starmap(figure, plots.items())),
        shares="".join(map(share_row, shares)),
        comparisons="".join(map(comparison_row, all_pairs(shares))) or "<tr><td>There is only one.",
        best="".join(quote(*texts[text_id], up, count) for text_id, up, count in best_texts(votes))
        or "<p>None yet.</p>",
    )


def share_row(of: Share) -> str:
    return (
        f"<tr><th>{escape(of.name)}<th>{escape(of.source)}<td>{of.texts:,}<td>{of.people:,}<td>{of.votes:,}"
        f"<td>{of.worth:,.0f}<td>{of.up:,}<td>{100 * of.value:.1f} %<td>{100 * of.low:.1f}–{100 * of.high:.1f}"
    )


def comparison_row(of: Comparison) -> str:
    needed = "–" if of.needed is None else f"{of.needed:,}"
    return (
        f"<tr><th>{escape(of.one.name)}<th>{escape(of.other.name)}<td>{100 * of.wins:.1f} %"
        f"<td>{100 * (of.one.value - of.other.value):+.1f}<td>{100 * of.low:+.1f} to {100 * of.high:+.1f}"
        f"<td>{chance(of.p)}<td>{needed}"
    )


def chance(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def quote(prompt: str, text: str, up: int, count: int) -> str:
    """A text after what it continues or answers, unless it begins with that."""
    before = "" if not prompt or text.startswith(prompt) else f"{prompt}\n"
    return f'<h3>liked by {up:,} of {count:,}</h3><pre class="text">{escape(before + text)}</pre>'


def draw_shares(axes: Axes, shares: Sequence[Share]) -> None:
    for place, of in enumerate(reversed(shares)):
        axes.errorbar(100 * of.value, place, xerr=reach([of]), color=COLOURS[of.source], marker="o", capsize=3)
    axes.set_yticks(range(len(shares)), [shorten(of.name) for of in reversed(shares)])
    axes.set(xlabel="% liked", xlim=(0, 100), ylim=(-0.7, len(shares) - 0.3))


def draw_course(axes: Axes, course: Mapping[str, Mapping[np.datetime64, Share]]) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    for source, shares in course.items():
        if shares:
            days, values = np.array(list(shares)).astype(float), [100 * of.value for of in shares.values()]
            name, colour = next(iter(shares.values())).name, COLOURS[source]
            axes.errorbar(days, values, reach([*shares.values()]), color=colour, marker=".", capsize=2, label=name)
    axes.set(ylabel="% liked", ylim=(0, 100))
    locator = AutoDateLocator(maxticks=6)  # type: ignore[no-untyped-call]  # Matplotlib has no types for it,
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]  # nor for it.
    axes.legend(labelcolor=INK, frameon=False)


def reach(shares: Sequence[Share]) -> list[list[float]]:
    """From each value to the ends of its interval, as Matplotlib wants it."""
    return [[100 * (of.value - of.low) for of in shares], [100 * (of.high - of.value) for of in shares]]


def shorten(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"
