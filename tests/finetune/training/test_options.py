"""Options that are out of range or contradict each other are refused in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.errors import FatalError
from finetune.commands.train import train
from tests.finetune.training.runs import training_options


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"steps": 0}, "--steps is 0: give 1 or more."),
        ({"decay_to": 2.0}, "--decay_to is 2.0: give a share from 0 to 1."),
        ({"learning_rate": float("nan")}, "--learning_rate is nan: give a number above 0, such as 1e-4."),
        ({"context": 65}, "--context is 65 and the model's window is 64: give 2 to 64."),
        ({"init": "nowhere"}, "--init is nowhere: give 124M"),
        ({"init": "355M"}, "`python -m finetune download 355M` fetches it."),
        ({"resume": True}, "has no run to continue: leave --resume out."),
        ({"lora": 4, "freeze": "embeddings"}, "leave --freeze out."),
        ({"trainer": "gpt-2-simple", "warmup": 3}, "--warmup is not supported by gpt-2-simple"),
        ({"init": "scratch", "n_embd": 10, "n_head": 3}, "cannot be divided"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_option_is_one_sentence(base: Path, tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(FatalError, match=r"^[^\n]+$") as refused:
        train(training_options(base, tmp_path / "run", **changes))
    assert sentence in str(refused.value)
    assert not (tmp_path / "run").exists()
