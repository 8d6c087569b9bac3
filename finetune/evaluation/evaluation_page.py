"""report.html of `evaluate`: tables, charts and examples."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from finetune.charts import HUMAN, INK, MODEL, add_legend, cut_first_steps, draw
from finetune.evaluation.evaluation_report import EvaluationReport, ModelAndHuman, TextFigures
from finetune.html_report import render_report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TINTED_FROM = (2.0, 4.0, 6.0, 9.0)
"""Nats from which a token is tinted, and tinted darker."""
BINS = 16
"""Bars of the histogram of lengths."""


def render(report: EvaluationReport) -> str:
    return render_report(
        "evaluation/report.html.jinja", report=report, charts=list(charts(report)), surprise_class=surprise_class
    )


def surprise_class(nats: float) -> str:
    """The class of a token's tint; none where it was expected."""
    shade = bisect_right(TINTED_FROM, nats)
    return f"s{shade}" if shade else ""


def charts(report: EvaluationReport) -> Iterator[tuple[str, str]]:
    """Captions and SVG elements."""
    yield (
        "The share of n-grams that are in the training text word for word, by their length.",
        draw(partial(draw_copying, figures=report.texts)),
    )
    yield (
        "The share of a text's n-grams that repeat an earlier one.",
        draw(partial(draw_repetition, figures=report.texts)),
    )
    yield "The lengths of its texts and of human ones, in tokens.", draw(partial(draw_lengths, figures=report.texts))
    if len(report.log) > 1:
        yield "The loss during training.", draw(partial(draw_log, report=report))
    elif report.train and report.validation:
        yield "The loss on text that it was trained on and on unseen text.", draw(partial(draw_losses, report=report))


def draw_copying(axes: Axes, figures: ModelAndHuman) -> None:
    for name, of, colour in series(figures):
        shares = of.copying.shares
        axes.plot(list(shares), [100 * share for share in shares.values()], marker=".", color=colour, label=name)
    axes.set(xlabel="n", ylabel="% copied", ylim=(0, None))
    add_legend(axes)


def draw_repetition(axes: Axes, figures: ModelAndHuman) -> None:
    for number, (name, of, colour) in enumerate(series(figures)):
        rates = of.variety.repetition
        places = [place + 0.4 * number - 0.2 for place in range(len(rates))]
        axes.bar(places, [100 * rate for rate in rates.values()], 0.38, color=colour, label=name)
    axes.set_xticks(range(len(rates)), [f"{n}-grams" for n in rates])
    axes.set(ylabel="% repeated")
    add_legend(axes)


def draw_lengths(axes: Axes, figures: ModelAndHuman) -> None:
    longest = max(max(of.lengths, default=0) for _, of, _ in series(figures))
    edges = [round(place * max(longest, BINS) / BINS) for place in range(BINS + 1)]
    for name, of, colour in series(figures):
        axes.hist(of.lengths, edges, histtype="step", color=colour, linewidth=1.5, label=name)
    axes.set(xlabel="tokens", ylabel="texts")
    axes.locator_params(axis="y", integer=True)
    add_legend(axes, "upper left")


def draw_log(axes: Axes, report: EvaluationReport) -> None:
    training = [(entry.step, entry.train) for entry in report.log]
    axes.plot(*zip(*training, strict=True), color=MODEL, linewidth=1, alpha=0.6, label="training")
    measured = [(entry.step, entry.validation) for entry in report.log if entry.validation is not None]
    if measured:
        axes.plot(*zip(*measured, strict=True), color=HUMAN, marker=".", label="validation")
    cut_first_steps(axes, training, measured)
    axes.set(xlabel="step", ylabel="nats per token")
    add_legend(axes)


def draw_losses(axes: Axes, report: EvaluationReport) -> None:
    splits = {"trained on": report.train, "not seen": report.validation}
    losses = {name: of.nats for name, of in splits.items() if of is not None}
    bars = axes.barh(list(losses), list(losses.values()), 0.5, color=[MODEL, HUMAN])
    axes.bar_label(bars, fmt="%.3f", padding=4, color=INK)
    axes.set(xlabel="nats per token", xlim=(0, 1.2 * max(losses.values())), ylim=(-0.7, 1.7))


def series(figures: ModelAndHuman) -> Iterator[tuple[str, TextFigures, str]]:
    """Names, figures and colours."""
    yield "model", figures.model, MODEL
    if figures.human:
        yield "human", figures.human, HUMAN
