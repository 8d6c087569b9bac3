"""The report says what to do next, in sentences that follow from what was measured."""

from __future__ import annotations

import pytest

from finetune.evaluation.advice import on_copies, on_temperature, on_training
from finetune.evaluation.temperatures import AtTemperature, ByTemperature
from finetune.run_folder import LogEntry

RESUME = "gpt2 train --resume"
RISES = "The validation loss rises since step 20: the best save is that one"


def log(*losses: float) -> list[LogEntry]:
    return [LogEntry(10 * (at + 1), loss, loss, 1e-4, 1.0, float(at)) for at, loss in enumerate(losses)]


@pytest.mark.parametrize(
    ("losses", "step", "sentence", "command"),
    [
        ((5, 4, 3, 2.5), 40, "The validation loss is still falling: train longer.", RESUME),
        ((5, 4, 4.2, 4.4), 40, f"{RISES}. This is step 40: evaluate", ""),
        ((5, 4, 4.2, 4.4), 20, f"{RISES}, and this is it. More text", ""),
        ((5, 3, 3, 3), 40, "The validation loss has levelled off: more steps would bring little", ""),
        ((5, 3, 3, 9), 40, "Diverged: the loss rose from 3.00 to 9.00: train again with a lower --learning-rate.", ""),
    ],
)  # fmt: skip
def test_on_training(losses: tuple[float, ...], step: int, sentence: str, command: str) -> None:
    (advice,) = on_training(log(*losses), step, RESUME)
    assert advice.sentence.startswith(sentence)
    assert advice.command == command


def test_a_run_without_a_log_has_no_advice() -> None:
    assert list(on_training([], 40, None)) == []


@pytest.mark.parametrize(
    ("share", "human", "said"), [(0.12, 0.01, True), (0.12, None, True), (0.12, 0.3, False), (None, 0.1, False)]
)
def test_on_copies(share: float | None, human: float | None, said: bool) -> None:
    """Human text shares phrases with the training text too, and only what is above that is too much."""
    sentences = [advice.sentence for advice in on_copies(share, human)]
    assert sentences == ["12.0 % is copied: stop earlier, or train on more text."] * said


def test_on_temperature() -> None:
    measured = [
        AtTemperature(temperature=at, distinct=share, repetition=0.0, mean_length=9.0, samples=[])
        for at, share in ((0.5, 0.3), (0.7, 0.4), (0.9, 0.5))
    ]
    found = ByTemperature(texts=3, measured=measured, human=0.48)
    (advice,) = on_temperature(found, 0.7)
    assert advice.sentence == "Temperature 0.9 would be as varied as your text; this report is about 0.7."
    (advice,) = on_temperature(found, 0.9)
    assert advice.sentence.endswith("keep it.")
    assert not list(on_temperature(ByTemperature(texts=3, measured=measured, human=None), 0.7))
