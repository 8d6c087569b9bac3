"""`show`: everything about one run or bundle: options, data, losses and saves, or manifest, parity and files.

gpt2 show jokes
gpt2 show checkpoint/jokes --json
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from app.engine.bundle import Manifest
from finetune.columns import columns, shown_bytes, shown_parameters, shown_shape
from finetune.inventory import KINDS, StoredModel, describe, find_model, find_models
from finetune.model_facts import ModelFacts, Save, model_facts
from finetune.readable_json import readable_json
from finetune.run_folder import LogEntry
from finetune.terminal import harmless

Facts = Iterator[tuple[str, str]]
"""Names and what is to be said of them."""


def show(name: str, /, *, json: bool = False) -> None:
    """Show everything about a run or bundle.

    Args:
        name: a run or a bundle, such as models/jokes, checkpoint/jokes, or jokes for all that have that name
        json: print one JSON object instead; the name then has to mean one
    """
    if json:
        print(readable_json(model_facts(describe(find_model(name, *KINDS)))).decode(), end="")
    else:
        facts = [model_facts(describe(folder)) for folder in find_models(name, *KINDS)]
        print(harmless("\n\n".join("\n".join(columns(list(lines(each)))) for each in facts)))


def lines(facts: ModelFacts) -> Facts:
    yield from of_model(facts.model)
    if facts.manifest:
        yield from of_manifest(facts.manifest)
    if facts.last:
        yield from of_losses(facts.last)
    for save in facts.saves:
        yield "save", of_save(save)
    if facts.description:
        yield from flat(msgspec.to_builtins(facts.description))
    for file, size in facts.files.items():
        yield "file", f"{file}, {shown_bytes(size)}"


def of_model(model: StoredModel) -> Facts:
    default = ", the default: what is served and deployed" if model.default else ""
    yield model.name, f"a {model.kind}{default}"
    if model.problem:
        yield "problem", model.problem
    if model.hparams and model.parameters:
        shape, hparams = shown_shape(model.hparams), model.hparams
        yield "size", f"{shown_parameters(model.parameters)} parameters: {shape}, {hparams.n_head} heads"
        yield "window", f"{hparams.n_ctx:,} tokens"
        yield "vocabulary", f"{hparams.n_vocab:,} tokens"
    if model.step:
        yield "step", f"{model.step:,}"
    if model.validation_loss is not None:
        yield "validation loss", f"{model.validation_loss:.3f} nats per token"
    yield "on disk", shown_bytes(model.bytes)
    yield "date", f"{model.date.astimezone():%Y-%m-%d %H:%M}"


def of_manifest(manifest: Manifest) -> Facts:
    """What the manifest says besides, under its own names."""
    said = msgspec.to_builtins(manifest)
    yield from flat({name: value for name, value in said.items() if name not in ("format", "hparams", "files")})


def of_losses(last: LogEntry) -> Facts:
    yield "training loss", f"{last.train:.3f} nats per token at step {last.step:,}"
    yield "trained for", f"{last.seconds / 60:.1f} minutes, {last.tokens_per_second:,.0f} tokens a second"


def of_save(save: Save) -> str:
    loss = "" if save.validation_loss is None else f", validation loss {save.validation_loss:.3f}"
    which = ", the best" if Path(save.path).parent.name == "best" else ", the newest" if save.newest else ""
    return f"{save.path}, {shown_bytes(save.bytes)}{loss}{which}"


def flat(values: dict[str, object], before: str = "") -> Facts:
    """Names and values of nested objects, in one column each. What is not set is left out."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{before}{name}.")
        elif value is not None:
            yield f"{before}{name}", in_line(value)


def in_line(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(in_line, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
