"""report.html of `report`: like rates as charts and tables, the most liked texts, and what people guessed on `/play`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from finetune.charts import HUMAN, MODEL, add_legend, draw
from finetune.html_report import render_report
from finetune.votes.like_rates import LikeRate, most_liked_texts, rates_by_origin, rates_over_time
from finetune.votes.rate_comparisons import compare_all_pairs, verdict
from finetune.votes.told_apart import AuthorGuesses, ToldApart, guesses_by_author, guesses_verdict
from finetune.votes.vote_table import VoteTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"model": MODEL, "human": HUMAN}
FEW_DAYS = 8
"""So many days each have a tick of their own."""
PromptAndText = tuple[str, str]


def render(votes: VoteTable, guesses: VoteTable, store: str, texts: Mapping[str, PromptAndText]) -> str:
    """`texts`: the prompt and the text of each of the most liked, by its id. There are votes or guesses, or both."""
    rates, authors = rates_by_origin(votes), guesses_by_author(guesses)
    return render_report(
        "votes/report.html.jinja",
        votes=votes,
        guesses=guesses,
        days=np.unique(np.concatenate([votes.day, guesses.day])),
        store=store,
        verdict=verdict(votes) if len(votes) else "",
        charts=charts(votes, rates) if len(votes) else [],
        rates=rates,
        comparisons=compare_all_pairs(rates),
        guesses_verdict=guesses_verdict(guesses) if len(guesses) else "",
        guesses_charts=guesses_charts(authors),
        authors=authors,
        best=[(shown_text(*texts[text_id]), likes, count) for text_id, likes, count in most_liked_texts(votes)],
    )


def charts(votes: VoteTable, rates: Sequence[LikeRate]) -> list[tuple[str, str]]:
    """Captions and SVG elements."""
    unit, over_time = rates_over_time(votes)
    return [
        ("Like rates with their 95 % intervals.", draw(partial(draw_rates, rates=rates))),
        (f"The same by {unit}.", draw(partial(draw_over_time, rates=over_time))),
    ]


def guesses_charts(authors: Sequence[AuthorGuesses]) -> list[tuple[str, str]]:
    """Captions and SVG elements."""
    rates = [author.recognized for author in authors]
    told = [author.told_apart for author in authors if author.told_apart]
    if not told:
        return []
    return [
        (
            "How often authors were recognized, with 95 % intervals.",
            draw(partial(draw_rates, rates=rates, label="% recognized")),
        ),
        (
            "How well they were told apart from all of the other source.",
            draw(partial(draw_rates, rates=told, label="% told apart")),
        ),
    ]


def shown_text(prompt: str, text: str) -> str:
    """A prompt with the text that follows it, joined as the model read them. A text may repeat its prompt."""
    if not prompt or text.startswith(prompt):
        return text
    if prompt[-1].isspace() or text[:1].isspace():
        return prompt + text
    # A tag such as [QUESTION] stands in front of its text; other prompts are answered below.
    return f"{prompt} {text}" if prompt.endswith("]") else f"{prompt}\n{text}"


def draw_rates(axes: Axes, rates: Sequence[LikeRate | ToldApart], label: str = "% liked") -> None:
    for place, rate in enumerate(reversed(rates)):
        axes.errorbar(
            100 * rate.value, place, xerr=error_bars([rate]), color=COLOURS[rate.source], marker="o", capsize=3
        )
    axes.set_yticks(range(len(rates)), [shorten(rate.name) for rate in reversed(rates)])
    axes.set(xlabel=label, xlim=(0, 100), ylim=(-0.7, len(rates) - 0.3))


def draw_over_time(axes: Axes, rates: Mapping[str, Mapping[np.datetime64, LikeRate]]) -> None:
    for source, by_day in rates.items():
        if by_day:
            days, values = np.array(list(by_day)).astype(float), [100 * rate.value for rate in by_day.values()]
            name, bars = next(iter(by_day.values())).name, error_bars([*by_day.values()])
            axes.errorbar(days, values, bars, color=COLOURS[source], marker=".", capsize=2, label=name)
    axes.set(ylabel="% liked", ylim=(0, 100))
    date_axis(axes, [day for by_day in rates.values() for day in by_day])
    add_legend(axes)


def date_axis(axes: Axes, days: Sequence[np.datetime64]) -> None:
    """An axis of these days. Matplotlib would make years of a single one, and hours of a few."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    first, last = (float(day.astype("datetime64[D]").astype(int)) for day in (min(days), max(days)))
    pad = max(1.0, 0.05 * (last - first))
    axes.set_xlim(first - pad, last + pad)
    if last - first <= FEW_DAYS:
        ticks = np.arange(first, last + 1)
        axes.set_xticks(ticks, [f"{day.item():%d %b}".lstrip("0") for day in ticks.astype(int).astype("datetime64[D]")])
        return
    locator = AutoDateLocator(maxticks=6)  # type: ignore[no-untyped-call]  # Matplotlib has no types for it,
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]  # nor for it.


def error_bars(rates: Sequence[LikeRate | ToldApart]) -> list[list[float]]:
    """How far the intervals reach below and above the rates, in percent, as Matplotlib's errorbar wants it."""
    return [[100 * (rate.value - rate.low) for rate in rates], [100 * (rate.high - rate.value) for rate in rates]]


def shorten(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"
