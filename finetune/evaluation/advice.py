"""What to do next, from what was measured: train longer, take another save, choose another temperature, copy less."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from finetune.evaluation.temperatures import ByTemperature
from finetune.html_report import percent
from finetune.loss_verdict import judge_losses
from finetune.run_folder import LogEntry

MUCH = 0.05
"""How much more than human text may be copied, as a share, before it is too much."""


class Advice(NamedTuple):
    """A sentence, and a command that does it if there is one."""

    sentence: str
    command: str = ""


def on_training(log: Sequence[LogEntry], step: int, resume: str | None) -> Iterator[Advice]:
    """`step` is that of the save."""
    verdict = judge_losses(log)
    said = verdict.sentence[:1].upper() + verdict.sentence[1:]
    if verdict.trend == "falling":
        yield Advice(f"{said}: train longer.", resume or "")
    elif verdict.trend in ("rising", "turning") and verdict.best is not None and step > verdict.best:
        yield Advice(f"{said}. This is step {step:,}: evaluate and export the best save instead.")
    elif verdict.trend == "rising":
        yield Advice(f"{said}, and this is it. More text would help, more steps would not.")
    elif verdict.trend == "level":
        yield Advice(f"{said}: more steps would bring little, more text or a larger model might.")
    elif verdict.trend == "diverged":
        yield Advice(f"{said}: train again with a lower --learning-rate.")


def on_copies(share: float | None, human: float | None) -> Iterator[Advice]:
    """`share` of what the model writes is copied, and `human` of human text."""
    if share is not None and share > (human or 0.0) + MUCH:
        yield Advice(f"{percent(share)} is copied: stop earlier, or train on more text.")


def on_temperature(found: ByTemperature, used: object) -> Iterator[Advice]:
    best = found.most_human
    if best is None:
        return
    if best == used:
        yield Advice(f"Temperature {best} is as varied as your text: keep it.")
    else:
        yield Advice(f"Temperature {best} would be as varied as your text; this report is about {used}.")
