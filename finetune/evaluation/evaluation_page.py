"""report.html of `evaluate`: tables, charts and examples."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from finetune.charts import HUMAN, INK, MODEL, add_legend, draw
from finetune.evaluation.evaluation_report import EvaluationReport, ModelAndHuman, TextFigures
from finetune.html_report import render_report

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def render(report: EvaluationReport) -> str:
    return render_report("evaluation/report.html.jinja", report=report, charts=list(charts(report)))


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


def draw_log(axes: Axes, report: EvaluationReport) -> None:
    steps, losses = [entry.step for entry in report.log], [entry.train for entry in report.log]
    axes.plot(steps, losses, color=MODEL, label="training")
    measured = {entry.step: entry.validation for entry in report.log if entry.validation is not None}
    axes.plot(list(measured), list(measured.values()), color=HUMAN, marker=".", label="validation")
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
