"""The forecast that a run begins with, and the bar that goes on from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.engine.bundle import Hparams
from finetune.data.packing import Windows
from finetune.data.prepared import open_data
from finetune.durations import about
from finetune.training.devices import Devices
from finetune.training.options import TrainingOptions
from finetune.training.training_bar import TrainingBar
from finetune.training.training_forecast import TrainingForecast, epochs_of_row, forecast_training

FORECAST = TrainingForecast(500, 0.0122, 6.1, 342_749, 14 * 60, 60)


@pytest.mark.parametrize(
    ("forecast", "sentence"),
    [
        (
            FORECAST,
            (
                "500 steps = 6.1 times through your 342,749 tokens, about 14 minutes on this machine; "
                "on Colab's GPU about a minute."
            ),
        ),
        (
            replace(FORECAST, steps=1, seconds=90.0),
            "1 more step = 0.0 times through your 342,749 tokens, about 2 minutes on this machine.",
        ),
        (
            replace(FORECAST, steps=250, on_colab=None),
            "250 more steps = 3.1 times through your 342,749 tokens, about 14 minutes on this machine.",
        ),
    ],
    ids=["whole", "little is left", "on a GPU"],
)
def test_it_says_what_will_happen(forecast: TrainingForecast, sentence: str) -> None:
    assert forecast.sentence() == sentence


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "a minute"), (840, "14 minutes"), (5400, "1.5 hours"), (7200, "2 hours"), (500_000, "6 days")],
)
def test_durations_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert about(seconds) == words


def test_a_longer_run_takes_longer_and_a_gpu_is_faster(data: Path) -> None:
    prepared, shape = open_data(data), Hparams(n_vocab=300, n_ctx=64, n_embd=512, n_head=4, n_layer=8)
    rows = Windows(prepared.train, 64)
    options = TrainingOptions(data=data, out=data, steps=100, batch_size=4)
    tokens = len(prepared.train.tokens)

    def forecast(device: str, done: int = 0, recomputed: bool = False) -> TrainingForecast:
        devices = Devices("jax", device, 1, None)
        given = replace(options, gradient_checkpointing=recomputed)
        return forecast_training(given, shape, rows, tokens, done, devices)

    card = forecast("NVIDIA L4")
    assert card.on_colab is None
    assert card.of_all == pytest.approx(100 * 4 * 64 / tokens)
    assert forecast("NVIDIA L4", done=50).seconds == pytest.approx(card.seconds / 2)
    assert forecast("NVIDIA L4", recomputed=True).seconds >= card.seconds
    assert forecast("CPU").on_colab is not None
    assert epochs_of_row(Windows(prepared.train, 10**9)) == 1.0


def test_the_bar_goes_from_the_forecast_to_what_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """The first time left had the compilation in it: two hours for ten minutes."""
    with TrainingBar("jokes", 500, 0, FORECAST) as bar:
        assert bar.seconds_left() == 840
        bar.step(4.0)
        assert bar.seconds_left() == 840, "the first step was compiled, so it tells nothing"
        bar.validation, bar.speed = 3.5, ", 1,000 tokens/s"
        bar.step(3.0)
        assert bar.seconds_left() < 840
        assert "loss 3.000, validation 3.500, epoch 0.0/6.1, 1,000 tokens/s" in str(bar)
    assert "[00:00<14:00, compiling the first step]" in capsys.readouterr().err
