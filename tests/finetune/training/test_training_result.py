"""What is said when a run has ended."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from finetune.command_line import parsed_options
from finetune.training.options import TrainingOptions
from finetune.training.training_result import TrainingResult

RUN = Path("checkpoint/jokes")
RESUME = "gpt2 train --resume"


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        (
            TrainingResult(RUN, 137, 500, signal=15),
            "Stopped at step 137 of 500, which is saved in checkpoint/jokes. To go on: gpt2 train --resume",
        ),
        (
            TrainingResult(RUN, 500, 500, signal=15),
            "The run was complete: step 500 is saved in checkpoint/jokes, and nothing is left to train.",
        ),
        (
            TrainingResult(RUN, 300, 500, early=True, signal=2),
            "The run was complete: step 300 is saved in checkpoint/jokes, and nothing is left to train.",
        ),
        (
            TrainingResult(RUN, 0, 500, signal=2),
            "Stopped before the first step: nothing was saved. To begin again: gpt2 train --resume",
        ),
    ],
    ids=["stopped", "in the last samples", "after an early stop", "at once"],
)
def test_a_signal_leaves_what_is_said(result: TrainingResult, sentence: str) -> None:
    """A signal while the last samples were written was told that --resume continues, and there was nothing left."""
    assert result.ending(RESUME) == sentence


def test_the_end_says_where_the_best_save_is_and_what_comes_next() -> None:
    result = TrainingResult(RUN, 500, 500, best=(400, 2.3456))
    assert result.summary() == (
        "checkpoint/jokes: step 500. Lowest validation loss 2.346 at step 400, saved in checkpoint/jokes/best. "
        "Loss curve: checkpoint/jokes/loss.png."
    )
    assert result.next_commands(Path("data/jokes")) == (
        "Now: gpt2 evaluate --checkpoint checkpoint/jokes/best --data data/jokes --out reports/jokes\n"
        "then: gpt2 export --checkpoint checkpoint/jokes/best --out models/jokes"
    )
    assert TrainingResult(RUN, 5, 5).checkpoint == RUN


def test_the_next_commands_can_be_pasted_whatever_the_run_is_called() -> None:
    """A blank or a quote in a run's name made two arguments of it."""
    lines = TrainingResult(Path("checkpoint/Anna's (2)"), 5, 5).next_commands(Path("my data")).splitlines()
    words = shlex.split(lines[0].partition(": ")[2])
    assert words[2:] == [
        "--checkpoint", "checkpoint/Anna's (2)", "--data", "my data", "--out", "reports/Anna's (2)"
    ]  # fmt: skip
    assert shlex.split(lines[1].partition(": ")[2])[-1] == "models/Anna's (2)"


def test_the_command_that_goes_on_has_every_option() -> None:
    options = TrainingOptions(
        data=Path("data/my jokes"), out=RUN, batch_size="auto", lora=8, xla=True, context=64, save=3, resume=False
    )
    program, verb, *words = shlex.split(options.resume_command())
    assert (program, verb) == ("gpt2", "train")
    expected = options.as_dict() | {"resume": True, "save": None}
    given = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in parsed_options(["train", *words]).items()
    }
    assert given == expected
