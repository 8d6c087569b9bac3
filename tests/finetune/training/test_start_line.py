"""The line that a run begins with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finetune.checkpoint import newest_whole
from finetune.training.devices import Devices
from finetune.training.options import TrainingOptions
from tests.finetune.training.runs import training_options


def line(init: Path, options: TrainingOptions, devices: Devices) -> str:
    from finetune.training.start_line import start_line
    from finetune.training.trainer import Trainer

    source, weights = newest_whole(init)
    return start_line(options, devices, Trainer(options, source.hparams, weights, 299, 64), 64)


@pytest.mark.parametrize(
    ("changes", "devices", "expected"),
    [
        (
            {},
            Devices("tensorflow", "CPU", 1, None),
            "TensorFlow on CPU, float32, plain attention, 2 rows a batch, 128 tokens a step, 37,120 parameters.",
        ),
        (
            {"batch_size": 1, "accumulate": 20, "precision": "float16", "lora": 2},
            Devices("jax", "NVIDIA L4", 2, None),
            (
                "JAX on 2 × NVIDIA L4 (data parallel), float16 with a scaled loss, plain attention, 1 row a batch, "
                "1,280 tokens a step, 39,168 parameters, 2,048 of them trained."
            ),
        ),
    ],
    ids=["plain", "all"],
)
def test_it_says_what_computes_how_and_how_much(
    base: Path, keras: Callable[..., Any], changes: dict[str, Any], devices: Devices, expected: str
) -> None:
    assert keras(line, base / "init", training_options(base, base, **changes), devices) == expected
