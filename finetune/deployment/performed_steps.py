"""Carries out the steps, shows each, and waits for roles that Google has given and not yet told all of its servers."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from app.errors import MachineError
from finetune.deployment.gcloud import Step, carry_out
from finetune.deployment.gcloud_errors import NOT_YET
from finetune.deployment.step_line import StepLine

PAUSE = 20.0
TRIES = 7
CONTINUES = "The same command goes on from here."
GOES_ON = f"{CONTINUES[:-1]}, and `gpt2 deploy --delete` takes everything back."


def perform(steps: Sequence[Step]) -> None:
    """Raises MachineError for the first that fails. Where it is stopped, says what exists already."""
    made: list[str] = []
    makes = any(each.made for each in steps)
    for step in steps:
        with (
            said_if_stopped(partial(what_exists, made, step) if makes else lambda: CONTINUES),
            StepLine(step.does) as line,
        ):
            carry_out_patiently(step, line, patient=bool(made))
        if step.made:
            made.append(step.made)


@contextmanager
def said_if_stopped(there: Callable[[], str]) -> Iterator[None]:
    """After Ctrl-C, or a signal that `leaving_at_signals` has turned into SystemExit, say what is there, and end."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as stopped:
        print(f"interrupted. {there()}", file=sys.stderr)
        raise SystemExit(stopped.code if isinstance(stopped, SystemExit) else 130) from None


def carry_out_patiently(step: Step, line: StepLine, patient: bool) -> None:
    """APIs and roles count only some minutes after they were given, so a step that lacks one is tried again, if any were."""
    for left in range(TRIES - 1, -1, -1):
        try:
            carry_out(step, line.show)
        except MachineError as error:
            if not (patient and left and NOT_YET in str(error)):
                raise
            line.show("waiting until the new APIs and roles count")
            time.sleep(PAUSE)
        else:
            return


def what_exists(made: Sequence[str], step: Step) -> str:
    there = f"There already: {', '.join(made)}." if made else "Nothing was made yet."
    begun = " A build that has begun goes on in Google Cloud." if step.minutes else ""
    return f"{there}{begun} {GOES_ON}"
