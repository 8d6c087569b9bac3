"""What the page shows of a run: its curves, a verdict in words, figures, what to do next, and its samples."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from app.engine.templates import layout_of
from finetune.evaluation.copy_marks import MarkedPiece
from finetune.loss_verdict import LossVerdict, judge_losses
from finetune.run_folder import LogEntry
from finetune.run_title import run_title
from finetune.training.longer_training import more_steps, resume_command
from finetune.watch.run_files import RunFiles, StepSamples, finite

State = Literal["waiting", "training", "finished", "stopped", "failed"]
Curve = list[tuple[int, float]]
MOST_POINTS = 400
"""Points of a curve on the page."""
MOST_SAVES = 40
"""Saves whose samples the page shows: the first, the newest, and as many in between."""
RECENT = 10
"""Log entries whose speed is the speed."""


class SampleView(msgspec.Struct, frozen=True, kw_only=True):
    """The samples of a step in pieces, copied or not; `copied` is the share of their n-grams, None where it is not known."""

    step: int
    texts: list[list[MarkedPiece]]
    copied: float | None = None


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """`verdict` is a sentence, `commands` what to do next with a word on each. Times are in seconds."""

    title: str
    folder: str
    state: State
    verdict: str
    trend: str
    step: int
    steps: int | None
    saved: int | None
    best: int | None
    train: Curve
    validation: Curve
    seconds: float
    seconds_left: float | None
    epochs: float | None
    tokens_per_second: float | None
    memory: int | None
    device_memory: int | None
    samples: list[SampleView]
    copies: str
    commands: list[tuple[str, str]]
    turns: bool
    """Whether the model answers messages; if not, it continues texts."""


def view_run(files: RunFiles, train_tokens: int | None, marked: Mapping[int, SampleView], copies: str) -> RunView:
    """`marked`: samples by step in which copies are known; `copies` says what is known of them."""
    state, log = state_of(files), files.log
    verdict = judge_losses(log)
    best = verdict.best
    reached = max([entry.step for entry in log[-1:]] + [files.saved or 0])
    step = files.progress.step if files.progress else reached
    if state == "stopped":
        step = max(step, reached)  # A run that was killed had no time to say how far it was.
    return RunView(
        title=run_title(files.folder),
        folder=str(files.folder),
        state=state,
        verdict=sentence(files, state, verdict, step),
        trend=verdict.trend,
        step=step,
        steps=steps_of(files),
        saved=files.saved,
        best=best,
        train=thin([(entry.step, entry.train) for entry in log if finite(entry.train)]),
        validation=thin([(entry.step, entry.validation or 0.0) for entry in log if finite(entry.validation)]),
        seconds=log[-1].seconds if log else 0.0,
        seconds_left=seconds_left(files, step) if state == "training" else None,
        epochs=epochs(log, train_tokens),
        tokens_per_second=recent_speed(log),
        memory=files.progress.memory if files.progress and state == "training" else None,
        device_memory=files.progress.device_memory if files.progress and state == "training" else None,
        samples=[marked.get(each.step) or plain(each) for each in spread(files.samples)],
        copies=copies,
        commands=next_commands(files, state, verdict, step),
        turns=layout_of(files.description.template).has_turns if files.description else False,
    )


def state_of(files: RunFiles) -> State:
    if files.progress is not None:
        if files.progress.state != "training" or files.progress.alive(files.folder):
            return files.progress.state
        return "stopped"
    if files.saved is None:
        return "waiting"
    steps = steps_of(files)
    return "finished" if steps is not None and files.saved >= steps else "stopped"


def steps_of(files: RunFiles) -> int | None:
    if files.progress is not None:
        return files.progress.steps
    steps = files.description.options.get("steps") if files.description else None
    return steps if isinstance(steps, int) else None


def sentence(files: RunFiles, state: State, verdict: LossVerdict, step: int) -> str:
    """The state and the verdict, as one says it."""
    said = verdict.sentence[:1].upper() + verdict.sentence[1:]
    if state == "waiting":
        return "Waiting for the run to begin."
    if state == "failed" and files.progress is not None:
        return f"Failed at step {step:,}: {files.progress.error}"
    if state == "training":
        advice = {"falling": ": let it run", "rising": ". You can stop here", "turning": ": wait for the next save"}
        return f"{said}{advice.get(verdict.trend, '')}." if files.log else "It has begun; no loss is known yet."
    if state == "stopped":
        kept = f"what is saved is step {files.saved:,}" if files.saved else "nothing was saved"
        return f"Stopped at step {step:,}; {kept}. {said}."
    advice = {"falling": ": it would gain from more steps", "level": ": more steps would bring little"}
    return f"Finished at step {step:,}. {said}{advice.get(verdict.trend, '')}."


def next_commands(files: RunFiles, state: State, verdict: LossVerdict, step: int) -> list[tuple[str, str]]:
    """What to do next: a few words, and the command."""
    options = files.description.options if files.description else {}
    if state in ("waiting", "training") or files.saved is None:
        return []
    commands = []
    steps = steps_of(files) or step
    if state == "stopped" and files.saved < steps:
        commands.append(("Resume it", resume_command(files.folder, options, steps)))
    elif state == "finished" and verdict.trend == "falling":
        commands.append(("Train longer", resume_command(files.folder, options, more_steps(step))))
    folder = files.folder / "best" if (files.folder / "best").is_dir() else files.folder
    source, name = shlex.quote(str(folder)), files.folder.resolve().name
    commands.append(("Read more of it", f"gpt2 sample --checkpoint {source} --nsamples 5"))
    if "data" in options:
        data, out = shlex.quote(str(options["data"])), shlex.quote(f"reports/{name}")
        commands.append(("Measure it", f"gpt2 evaluate --checkpoint {source} --data {data} --out {out}"))
    commands.append(
        ("Make a model to serve", f"gpt2 export --checkpoint {source} --out {shlex.quote(f'models/{name}')}")
    )
    return commands


def seconds_left(files: RunFiles, step: int) -> float | None:
    """By the pace of the newest entries. The first entry has the time of compiling in it and tells nothing."""
    steps, recent = steps_of(files), files.log[1:][-RECENT:]
    if steps is None or len(recent) < 2 or recent[-1].step <= recent[0].step:
        return None
    pace = (recent[-1].seconds - recent[0].seconds) / (recent[-1].step - recent[0].step)
    return max(0.0, (steps - step) * pace)


def epochs(log: Sequence[LogEntry], train_tokens: int | None) -> float | None:
    """How often the training text was read."""
    if not train_tokens or not log:
        return None
    starts = [0.0, *(entry.seconds for entry in log[:-1])]
    read = sum(entry.tokens_per_second * (entry.seconds - start) for entry, start in zip(log, starts, strict=True))
    return read / train_tokens


def recent_speed(log: Sequence[LogEntry]) -> float | None:
    recent = sorted(entry.tokens_per_second for entry in log[-RECENT:])
    return recent[len(recent) // 2] if recent else None


def thin(curve: Curve) -> Curve:
    """At most MOST_POINTS points: means of neighbours, and the last point as it is."""
    size = -(-len(curve) // MOST_POINTS)
    if size <= 1:
        return curve
    groups = [curve[start : start + size] for start in range(0, len(curve) - 1, size)]
    return [(group[-1][0], sum(loss for _, loss in group) / len(group)) for group in groups] + curve[-1:]


def spread(samples: Sequence[StepSamples]) -> list[StepSamples]:
    """At most MOST_SAVES of them, the first and the last among them."""
    if len(samples) <= MOST_SAVES:
        return list(samples)
    return [samples[round(index * (len(samples) - 1) / (MOST_SAVES - 1))] for index in range(MOST_SAVES)]


def plain(samples: StepSamples) -> SampleView:
    return SampleView(step=samples.step, texts=[[MarkedPiece(text, False)] for text in samples.texts])
