"""Charts of losses hold whatever a log does."""

from __future__ import annotations

import math
from pathlib import Path

from finetune.charts import cut_first_steps, draw
from finetune.run_folder import LogEntry
from finetune.training.loss_plot import plot_losses


def test_losses_that_are_no_numbers_are_left_out(tmp_path: Path) -> None:
    """One infinite validation loss ended `evaluate`, and a training at its save, in a traceback of Matplotlib's."""
    assert draw(lambda axes: cut_first_steps(axes, [(1, math.nan), (2, math.inf)], [(2, 3.0)])).startswith("<svg")
    entries = [
        LogEntry(step, math.nan, loss, 1e-4, 50.0, 1.0) for step, loss in ((1, math.inf), (2, math.nan), (3, 2.0))
    ]
    for number in (2, 3):
        plot_losses(entries[:number], "jokes", tmp_path / "loss.png")
        assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
