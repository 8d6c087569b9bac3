"""A run is shown while it trains, saves when it is interrupted, and is resumed by itself."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from app.engine.checkpoint_folder import open_checkpoint
from app.errors import MachineError
from finetune.notebook import live_training
from finetune.notebook.cell_output import CellOutput
from finetune.notebook.live_training import LiveTraining, resumption, train_live
from finetune.run_folder import LogEntry, RunDescription, RunFolder

BAR = "jokes:  70%|███████   | {step}/200 [00:10<00:04, 14.0step/s, loss {loss}, 300,000 tokens/s]"


class Recorded(CellOutput):
    """What a person would see."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.charts: list[bytes] = []

    def show(self, text: str, replaced: bool) -> None:
        if not replaced:
            self.lines.append(text)

    def draw(self, png: bytes) -> None:
        self.charts.append(png)


def test_the_losses_since_the_last_save_come_from_the_bar(tmp_path: Path) -> None:
    """log.csv was the only source once, and the curve stood still between two saves."""
    run = RunFolder(tmp_path)
    live = LiveTraining(run)
    live.output = Recorded()
    live.draw()
    assert not live.output.charts, "there is nothing to draw yet"
    for step, loss in ((120, "3.500"), (140, "3.250")):
        live.show(BAR.format(step=step, loss=loss), True)
    assert live.losses == [(120, 3.5), (140, 3.25)]
    live.draw()
    run.write_log([LogEntry(100, 4.0, 3.9, 1e-4, 1.0, 1.0), LogEntry(120, 3.6, None, 1e-4, 1.0, 2.0)])
    live.draw()
    assert [png[:4] for png in live.output.charts] == [b"\x89PNG"] * 2
    assert len(set(live.output.charts)) == 2


def test_samples_are_shown_when_they_are_written(tmp_path: Path) -> None:
    """Those of an earlier session are not shown again."""
    run = RunFolder(tmp_path)
    run.add_samples(100, ["An old text."])
    live = LiveTraining(run)
    live.output = output = Recorded()
    run.add_samples(200, ["Why did the dück cross?", "To see."])
    live.show("step 200: training loss 3.000", False)
    live.show("step 201: nothing new", False)
    assert output.lines == [
        "step 200: training loss 3.000",
        "======== step 200 ========\nWhy did the dück cross?\n--------\nTo see.",
        "step 201: nothing new",
    ]


def test_a_run_that_is_at_its_end_is_left_alone(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`train --resume` refuses it, and *Run all* would stop there."""
    step = open_checkpoint(checkpoint).step
    train_live(checkpoint, step)
    assert f"is at step {step} already" in capsys.readouterr().out


def test_a_resumed_run_keeps_its_precision(tmp_path: Path) -> None:
    """After a disconnect Colab may give another card, and `train` refuses another precision. Runs of gpt-2-simple have none."""
    run = RunFolder(tmp_path)
    assert resumption(run) == []
    (tmp_path / "checkpoint").touch()
    assert resumption(run) == ["--resume"]
    options = {"precision": "float16"}
    run.describe(RunDescription(corpus_sha256="", end=0, template="text", init="124M", options=options, made={}))
    assert resumption(run) == ["--resume", "--precision", "float16"]


def test_what_train_refuses_stops_the_notebook(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(MachineError, match="`train` did not finish"):
        train_live(tmp_path / "run", 10, "--data", tmp_path / "absent")
    assert "absent" in capsys.readouterr().out


@pytest.mark.slow
def test_an_interrupted_run_is_saved_and_resumed(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An interrupt in Colab once lost everything since the last save, and nothing was shown until the end."""
    out = tmp_path / "run"
    options: list[str | Path] = [
        "--data",
        base / "data",
        "--init",
        base / "init",
        "--batch_size",
        "2",
        "--precision",
        "float16",
    ]
    shown: list[LiveTraining] = []

    class InterruptedOnce(LiveTraining):
        def show(self, text: str, replaced: bool) -> None:
            if not self.losses:
                super().show(text, replaced)
                if self.losses:
                    os.kill(os.getpid(), signal.SIGINT)
            shown.append(self)

    monkeypatch.setattr(live_training, "LiveTraining", InterruptedOnce)
    with pytest.raises(MachineError, match="run this cell again"):
        train_live(out, 100_000, *options)
    saved = open_checkpoint(out).step
    assert 0 < saved < 100_000
    monkeypatch.undo()
    train_live(out, saved + 2, *options[:-1], "float32")
    assert open_checkpoint(out).step == saved + 2
    assert "is resumed" in capsys.readouterr().out
