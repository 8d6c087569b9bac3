"""loss.png: the training and validation loss over the steps of a run."""

from __future__ import annotations

from io import BytesIO
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.charts import cut_first_steps, new_figure
from finetune.run_folder import LogEntry

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TRAINING, VALIDATION = "#2438a8", "#a3560f"
"""As in the reports and on the page of `watch`."""


def plot_losses(entries: list[LogEntry], title: str, path: Path) -> None:
    """Write the PNG file, replacing an older one in one go."""
    measured = [(entry.step, entry.validation) for entry in entries if entry.validation is not None]
    validation = [(step, loss) for step, loss in measured if isfinite(loss)]
    aside = path.with_name(f".{path.name}")
    aside.write_bytes(draw_losses([(entry.step, entry.train) for entry in entries], validation, title))
    aside.replace(path)


def draw_losses(training: list[tuple[int, float]], validation: list[tuple[int, float]], title: str) -> bytes:
    """A PNG file of these losses, each with its step."""
    png = BytesIO()
    with new_figure(8, 4.5) as figure:
        axes = figure.subplots()
        axes.plot(*zip(*training, strict=True), label="training", color=TRAINING, linewidth=1, alpha=0.6)
        plot_validation(axes, validation)
        cut_first_steps(axes, training, validation)
        axes.set_xlabel("step")
        axes.set_ylabel("nats per token")
        axes.set_title(title)
        axes.grid(alpha=0.3)
        axes.legend()
        figure.savefig(png, format="png", dpi=120)
    return png.getvalue()


def plot_validation(axes: Axes, measured: list[tuple[int, float]]) -> None:
    """Add the validation losses and mark the lowest."""
    if not measured:
        return
    steps, losses = zip(*measured, strict=True)
    axes.plot(steps, losses, label="validation", color=VALIDATION, marker=".")
    best_step, best = min(measured, key=lambda entry: entry[1])
    axes.axvline(best_step, color="#999999", linestyle=":", label=f"best: {best:.3f} at {best_step}")
