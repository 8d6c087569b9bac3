"""What `new` chooses to train, by the text, the machine and the time."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.engine.bundle import Hparams
from finetune.data.prepared import DataDescription
from finetune.openai_shapes import SHAPES
from finetune.planning.machine import Machine, this_machine
from finetune.planning.training_plan import (
    FEWEST_STEPS,
    TrainingPlan,
    TrainingTime,
    passes,
    plan_training,
    training_options,
    validation_share,
    vocabulary_size,
)

LAPTOP = Machine("CPU", 8_000_000_000, "float32")
CARD = Machine("NVIDIA L4", 24_000_000_000, "bfloat16")


def description(tokens: int, validation: int = 10) -> DataDescription:
    return DataDescription(
        format=1,
        sources=["jokes.txt"],
        corpus_sha256="",
        template="text",
        n_vocab=1024,
        end_of_text=1023,
        read=100,
        dropped={},
        documents={"train": 90, "validation": validation},
        tokens={"train": tokens, "validation": validation * 100},
        options={},
        made={},
    )


def plan(tokens: int, machine: Machine = CARD, validation: int = 10, minutes: float = 15.0) -> TrainingPlan:
    return plan_training(description(tokens, validation), None, machine, TrainingTime(minutes))


def test_a_longer_text_gets_a_larger_vocabulary_and_model() -> None:
    assert [vocabulary_size(size) for size in (0, 10_000, 400_000, 10**9)] == [512, 512, 2048, 8192]
    sizes = [plan(tokens).parameters for tokens in (1_000, 100_000, 1_000_000, 10_000_000)]
    assert sizes == sorted(set(sizes))


def test_a_share_is_held_out_that_can_be_measured() -> None:
    assert [validation_share(size) for size in (1_000, 2_000_000, 10**9)] == [0.1, 0.05, 0.02]


def test_little_time_gets_a_model_that_can_read_the_text_several_times() -> None:
    hurried, patient = plan(10_000_000, minutes=1.0), plan(10_000_000, minutes=10_000.0)
    assert hurried.parameters < patient.parameters
    assert hurried.options["steps"] < patient.options["steps"]


def test_a_text_is_not_read_more_often_than_is_of_use() -> None:
    read = passes(description(200_000), plan(200_000, minutes=10_000.0).options)
    assert read == pytest.approx(40, rel=0.1)
    unmeasured = plan(200_000, validation=0, minutes=10_000.0)
    assert passes(description(200_000), unmeasured.options) == pytest.approx(read / 2, rel=0.1)
    assert unmeasured.options["patience"] == 0
    assert plan(10).options["steps"] == FEWEST_STEPS


def test_steps_that_are_given_are_taken() -> None:
    assert plan_training(description(10**6), None, CARD, TrainingTime(0.1, 777)).options["steps"] == 777


@pytest.mark.parametrize("machine", [LAPTOP, CARD], ids=["laptop", "card"])
@pytest.mark.parametrize("start", [None, SHAPES["124M"]], ids=["scratch", "124M"])
@pytest.mark.parametrize("tokens", [5, 300_000, 10**9])
def test_every_plan_can_be_trained(machine: Machine, start: Hparams | None, tokens: int) -> None:
    chosen = plan_training(description(tokens), start, machine, TrainingTime(15.0))
    init = "124M" if start else "scratch"
    options = training_options(chosen, init, Path("data/jokes"), Path("checkpoint/jokes"))
    options.check()
    assert options.init == init
    assert options.save_every <= options.steps
    assert "million parameters is trained for" in chosen.sentence()


def test_this_machine_has_a_processor_and_memory() -> None:
    machine = this_machine()
    assert machine.has_room_for(1)
    assert not Machine("CPU", 10, "float32").has_room_for(11)
    assert Machine("CPU", None, "float32").has_room_for(10**15)
    assert machine.gpu is (machine.device != "CPU")
