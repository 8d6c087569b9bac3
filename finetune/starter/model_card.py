"""The starter's model card: what it is, how well it predicts, and samples as they come."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from app.engine.base import Engine, start_tokens
from app.engine.batch import generate
from app.engine.bundle import open_bundle
from app.engine.generation import GenerationOptions, prepare
from app.engine.sampling import Sampling
from finetune.export.parity import logits_step_by_step
from finetune.starter.ideas import count_ideas

KINDS = {"Jokes": "[QUESTION]", "Verdicts": "[VERDICT]", "Small talk": "[USER]"}


def write_card(folder: Path, train: list[str], held_out: list[str]) -> None:
    """Write README.md into the bundle's folder. `train` and `held_out` are documents."""
    from app.engine.onnx import OnnxEngine

    bundle = open_bundle(folder)
    assert bundle.manifest.parity is not None
    engine = OnnxEngine(bundle, threads=1)
    card = CARD.format(
        ideas=count_ideas(),
        documents=len(train),
        held_out=len(held_out),
        train_loss=mean_loss(engine, train[: len(held_out)]),
        held_out_loss=mean_loss(engine, held_out),
        kl=bundle.manifest.parity.mean_kl,
    )
    parts = [card]
    for title, code in KINDS.items():
        parts.append(f"## {title}: `prefix={code}`\n")
        parts += [quote(sample(engine, code, seed)) for seed in range(10)]
    (folder / "README.md").write_text("\n".join(parts), encoding="utf-8")


def mean_loss(engine: Engine, texts: Iterable[str]) -> float:
    """The cross-entropy of texts, their ends included, in nats per token."""
    total, count = 0.0, 0
    for text in texts:
        prompt = start_tokens(engine, text)
        targets = np.array([*prompt[1:], engine.end.token])
        logits = logits_step_by_step(engine, prompt).astype(np.float64)
        total += float((np.logaddexp.reduce(logits, axis=-1) - logits[np.arange(len(prompt)), targets]).sum())
        count += len(prompt)
    return total / count


def sample(engine: Engine, prefix: str, seed: int) -> str:
    options = GenerationOptions(length=150, seed=seed, sampling=Sampling(temperature=0.7, top_p=0.8))
    return prefix + "".join(delta.text for delta in generate(engine, prepare(engine, prefix, options), options))


def quote(text: str) -> str:
    return "".join(f"> {line}  \n" for line in text.splitlines())


CARD = """# starter

The model that is served when you bring none: a GPT-2 of 4.5 million parameters (4 layers, 256 wide, 2 heads, a window of 1,024
tokens, a vocabulary of 4,096), trained from scratch by `finetune train` on text written for this project and released under
CC0: {ideas:,} ideas, unfolded into {documents:,} documents. It tells small jokes, judges small conflicts and makes small talk,
in plain English, and knows nothing else. `make starter` trains it again.

Loss: {train_loss:.2f} nats per token on documents that it was trained on, {held_out_loss:.2f} on the {held_out:,} documents
of held-out ideas. Rounding to 8 bits changed its predictions by {kl:.1e} nats.

It knows its corpus almost by heart; a model this small could not write whole sentences otherwise. Most of what it writes is in
the corpus word for word, and the rest is put together from it. `top_p=0.8` keeps it to what it knows best.

Below are ten samples of each kind at `temperature=0.7&top_p=0.8` with seeds 0 to 9, neither selected nor edited.
"""
