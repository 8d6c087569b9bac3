"""Options that are out of range or contradict each other are refused in one sentence."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import FatalError, SettingError
from finetune.commands.train import train
from finetune.option_ranges import option
from finetune.training.options import TrainingOptions
from tests.conftest import ROOT
from tests.finetune.training.runs import training_options


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"steps": 0}, "--steps is 0 and should be at least 1."),
        ({"save_every": 0}, "--save-every is 0 and should be at least 1."),
        ({"sample_length": 0}, "--sample-length is 0 and should be at least 1."),
        ({"patience": -1}, "--patience is -1 and should be at least 0."),
        ({"decay_to": 2.0}, "--decay-to is 2.0 and should be at least 0 and at most 1."),
        ({"ignore_meta_prob": -0.1}, "--ignore-meta-prob is -0.1 and should be at least 0 and at most 1."),
        ({"learning_rate": float("nan")}, "--learning-rate is nan and should be above 0."),
        ({"learning_rate": float("inf")}, "--learning-rate is inf and should be a finite number of 32 bits."),
        ({"learning_rate": -1e-4}, "--learning-rate is -0.0001 and should be above 0."),
        ({"learning_rate": 1e39}, "--learning-rate is 1e+39 and should be a finite number of 32 bits."),
        ({"clip": float("inf")}, "--clip is inf and should be a finite number of 32 bits."),
        ({"beta_2": 1.0}, "--beta-2 is 1.0 and should be at least 0 and below 1."),
        ({"seed": -1}, "--seed is -1 and should be at least 0 and at most 4294967295."),
        ({"context": 65}, "--context is 65 and the model's window is 64: give 2 to 64."),
        ({"context": 1}, "--context is 1 and should be at least 2."),
        ({"freeze": -1}, "--freeze is -1 and should be at least 0."),
        ({"freeze": 3}, "--freeze is 3 and the model has 2 layers: give 0 to 2."),
        ({"n_layer": 6}, "has a shape of its own: leave --n-layer out, or give --init scratch."),
        ({"init": "nowhere"}, "--init is nowhere: give 124M"),
        ({"init": "355M"}, "`python -m finetune download 355M` fetches it."),
        ({"resume": True}, "has no run to continue: leave --resume out."),
        ({"lora": 4, "freeze": "embeddings"}, "leave --freeze out."),
        ({"optimizer": "adafactor", "beta_2": 0.95}, "--beta-2 is AdamW's: leave it or --optimizer adafactor out."),
        ({"tokens_per_step": 64, "accumulate": 2}, "--tokens-per-step sets --accumulate: leave one of them out."),
        (
            {"packing": "windows", "ignore_meta_prob": 0.5},
            "--packing windows ignores documents: leave one of them out.",
        ),
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


@pytest.mark.parametrize(
    ("changes", "rows"),
    [
        ({"batch_size": "auto"}, None),
        ({"batch_size": 3, "accumulate": 4}, 12),
        ({"batch_size": 4, "tokens_per_step": 1000}, 16),
        ({"batch_size": 4, "tokens_per_step": 1}, 4),
        ({"batch_size": 2, "tokens_per_step": 256, "context": 32}, 8),
    ],
)
def test_a_step_has_as_many_rows_as_asked_for(base: Path, tmp_path: Path, changes: dict[str, Any], rows: int) -> None:
    assert training_options(base, tmp_path, **changes).rows_per_step(64) == rows


@pytest.mark.parametrize(
    ("backend", "sentence"),
    [
        ("tensorfow", "KERAS_BACKEND is tensorfow: set it to tensorflow or jax."),
        ("torch", "KERAS_BACKEND is torch: set it to tensorflow or jax."),
    ],
)
def test_a_backend_that_cannot_train_is_one_sentence(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str, sentence: str
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", backend)
    with pytest.raises(SettingError) as refused:
        train(training_options(base, tmp_path / "run"))
    assert str(refused.value) == sentence


def test_a_backend_that_is_not_installed_is_one_sentence() -> None:
    """JAX is not among the requirements of training. White space around the variable does not count."""
    code = "import sys; sys.modules['jax'] = None; from finetune.__main__ import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "train", "--data", "data", "--out", "run"]
    ended = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": str(ROOT), "KERAS_BACKEND": " jax\n"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr == "error: KERAS_BACKEND is jax, which is not installed: `pip install jax`, or unset it.\n"


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"batch_size": 8}, "give a --batch-size below 8; --accumulate makes up for it"),
        ({}, "give --gradient-checkpointing, --lora 8, a shorter --context or a smaller model"),
        ({"gradient_checkpointing": True, "lora": 4}, "give a shorter --context or a smaller model"),
    ],
)
def test_what_takes_less_memory_is_what_is_not_yet_chosen(changes: dict[str, Any], remedy: str) -> None:
    assert TrainingOptions(data=Path("data"), out=Path("run"), **changes).smaller() == remedy


NUMBERS = [field.name for field in dataclasses.fields(TrainingOptions) if type(field.default) in (int, float)]


@given(
    st.sampled_from([*NUMBERS, "context", "freeze", "save"]),
    st.one_of(st.integers(-(2**70), 2**70), st.integers(-3, 3), st.floats(width=64)),
)
def test_a_number_is_refused_by_its_name_or_used_as_it_is(name: str, value: Any) -> None:
    """An infinite --clip was recorded as null, so that the run could not be resumed with it."""
    given_options: dict[str, Any] = {"init": "scratch", name: value}
    options = TrainingOptions(data=Path("data"), out=Path("run"), **given_options)
    if (said := refusal(options)) is None:
        assert msgspec.json.decode(msgspec.json.encode(options.as_dict()))[name] == value
    else:
        assert said.startswith((f"{option(name)} is {value}", "--save names the save"))
        assert "\n" not in said


def refusal(options: TrainingOptions) -> str | None:
    try:
        options.check()
    except SettingError as error:
        return str(error)
    return None
