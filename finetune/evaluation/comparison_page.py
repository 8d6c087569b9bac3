"""report.html of `compare`, and the same as a table for the terminal."""

from __future__ import annotations

from finetune.evaluation.model_comparison import RESAMPLES, ComparedModel, ModelComparison
from finetune.html_report import commas, percent, render_report


def render_comparison(comparison: ModelComparison) -> str:
    one, other = comparison.models
    return render_report(
        "evaluation/comparison.html.jinja",
        comparison=comparison,
        title=f"{one.title} and {other.title}",
        rows=list(zip(NAMES, figures(one), figures(other), strict=True)),
        resamples=RESAMPLES,
        zip=zip,
    )


NAMES = (
    "bits per byte (less is better)",
    "parameters, millions",
    "weights as served, MB",
    "tokens per second, one text",
    "tokens per text",
    "distinct 2-grams",
    "repeated 4-grams",
    "copied 8-grams",
)


def figures(model: ComparedModel) -> list[str]:
    """In the order of NAMES."""
    return [
        f"{model.bits_per_byte:.3f}",
        f"{model.parameters / 1e6:.1f}",
        f"{model.size / 1e6:.1f}",
        commas(model.tokens_per_second),
        f"{model.mean_length:.1f}",
        percent(model.distinct),
        percent(model.repetition),
        "–" if model.copied is None else percent(model.copied),
    ]


def as_text(comparison: ModelComparison) -> str:
    """For the terminal: a table of both, then the verdict and what to bear in mind."""
    one, other = comparison.models
    rows = [("", one.title, other.title), *zip(NAMES, figures(one), figures(other), strict=True)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f"{name:<{widths[0]}}  {left:>{widths[1]}}  {right:>{widths[2]}}".rstrip() for name, left, right in rows]
    return "\n".join([*lines, comparison.verdict, *comparison.notes])
