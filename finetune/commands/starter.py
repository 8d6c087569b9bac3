r"""`starter`: train the embedded default from nothing. `make starter`, about fifty minutes on two cores.

The corpus is finetune/starter_corpus/*.jsonl, written for this project. A line holds slots, a slot holds alternatives, and a
document takes one alternative of each slot, so that a very small model meets every idea in many wordings. Each kind of
document opens with a control code that asks for it; one in seven goes without, so that plain text works as a prompt too:

    [QUESTION] Why did the ...?\n[ANSWER] Because ...        a joke
    [VERDICT] YTA. You ...                                   a comment that judges
    [USER] Hello!\n[BOT] Hello! How are you?                 small talk, two to six turns

The rest is what anybody does with a corpus of their own: `prepare`, which learns a vocabulary of 4,096 byte pairs from it,
`train` from nothing, and `export`. Every 25th line of the corpus, with all its wordings, is held out to measure what the
model makes of ideas it never met.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from app.engine.base import Engine, start_tokens
from app.engine.bundle import open_bundle
from app.engine.generation import GenerationOptions, generate
from app.engine.generation import prepare as prepare_prompt
from app.engine.sampling import Sampling
from finetune.commands.export import export
from finetune.commands.prepare import prepare
from finetune.commands.train import train
from finetune.export.parity import logits_step_by_step
from finetune.training.options import TrainingOptions

CORPUS = Path(__file__).parent.parent / "starter_corpus"
SHAPE: dict[str, Any] = {"n_ctx": 1024, "n_embd": 256, "n_head": 2, "n_layer": 4}
VOCABULARY = 4096
SEED = 2026
PLAIN = 0.15
# Jokes are short and each is an idea of its own, so they come in the most wordings.
WORDINGS = {"jokes": 9, "verdicts": 6, "smalltalk": 6}
HELD_OUT = 25
TRAINING: dict[str, Any] = {
    "steps": 16_000,
    "batch_size": 4,
    "context": 256,
    "learning_rate": 1e-3,
    "warmup": 200,
    "decay_to": 0.01,
    "weight_decay": 0.1,
    "beta_2": 0.99,
    "precision": "bfloat16",
    "save_every": 1000,
}
KINDS = {"Jokes": "[QUESTION]", "Verdicts": "[VERDICT]", "Small talk": "[USER]"}


def starter(out: Path = Path("models/starter"), work: Path = Path("checkpoint")) -> None:
    """Train the embedded default from its corpus and export it, with its card.

    Args:
        out: the bundle's folder
        work: where vocabulary, tokens and checkpoints of the training go; what an earlier one left there is replaced
    """
    texts, held_out = documents()
    corpus, data, run = work / "starter.jsonl", work / "starter-data", work / "starter"
    work.mkdir(parents=True, exist_ok=True)
    corpus.write_bytes(b"".join(msgspec.json.encode({"body": text}) + b"\n" for text in texts))
    prepare([str(corpus)], data, vocabulary_size=VOCABULARY, near_duplicates=0)
    shutil.rmtree(run, ignore_errors=True)
    train(TrainingOptions(data=data, out=run, init="scratch", seed=SEED, **SHAPE, **TRAINING))
    export(run, out, end=str(VOCABULARY - 1), template="qa")
    write_card(out, texts, held_out)


@dataclass(frozen=True)
class Line:
    """One idea of the corpus: what opens each slot when it is marked, and the slots' alternatives."""

    codes: tuple[str, ...]
    slots: tuple[tuple[str, ...], ...]
    joint: str

    def document(self, choice: random.Random) -> str:
        """One wording, marked six times out of seven."""
        said = [choice.choice(slot) for slot in self.slots]
        if choice.random() >= PLAIN:
            said = [code + text for code, text in zip(self.codes, said, strict=True)]
        return self.joint.join(said)


def read_line(kind: str, record: dict[str, list[str]]) -> Line:
    if kind == "jokes":
        return Line(("[QUESTION] ", "[ANSWER] "), (tuple(record["question"]), tuple(record["answer"])), "\n")
    if kind == "smalltalk":
        slots = tuple(tuple(turn) for turn in record["turns"])
        return Line(tuple("[BOT] " if i % 2 else "[USER] " for i in range(len(slots))), slots, "\n")
    slots = ((f"{record['verdict']}.",), *(tuple(sentence) for sentence in record["said"]))
    return Line(("[VERDICT] ",) + ("",) * (len(slots) - 1), slots, " ")


def documents() -> tuple[list[str], list[str]]:
    """All documents, shuffled: those to train on and those held out. The same on every call."""
    choice = random.Random(SEED)
    train: list[str] = []
    held_out: list[str] = []
    for kind, wordings in WORDINGS.items():
        for number, text in enumerate((CORPUS / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines()):
            line = read_line(kind, json.loads(text))
            wanted = {line.document(choice): None for _ in range(wordings)}
            (train if number % HELD_OUT else held_out).extend(wanted)
    for part in (train, held_out):
        choice.shuffle(part)
    known = set(train)
    # Two ideas can share a wording, such as "Hi!" and its answer.
    return train, [text for text in held_out if text not in known]


def mean_loss(engine: Engine, texts: Iterable[str]) -> float:
    """Nats per token that the model is surprised by texts, their ends included."""
    surprise, count = 0.0, 0
    for text in texts:
        prompt = start_tokens(engine, text)
        following = np.array([*prompt[1:], engine.end.token])
        logits = logits_step_by_step(engine, prompt).astype(np.float64)
        surprise += float((np.logaddexp.reduce(logits, axis=-1) - logits[np.arange(len(prompt)), following]).sum())
        count += len(prompt)
    return surprise / count


def write_card(folder: Path, train: list[str], held_out: list[str]) -> None:
    """Write the model's card: what it is, how well it predicts, and ten samples of each kind, none of them picked."""
    from app.engine.onnx import OnnxEngine

    bundle = open_bundle(folder)
    parity = bundle.manifest.parity
    assert parity is not None, "`export` measures the parity of every bundle that it writes"
    engine = OnnxEngine(bundle, threads=1)
    lines = sum(len((CORPUS / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines()) for kind in WORDINGS)
    known, unknown = mean_loss(engine, train[: len(held_out)]), mean_loss(engine, held_out)
    parts = [
        CARD.format(
            lines=lines,
            documents=len(train),
            held=len(held_out),
            known=known,
            unknown=unknown,
            kl=parity.mean_kl,
        )
    ]
    for title, code in KINDS.items():
        parts.append(f"## {title}: `prefix={code}`\n")
        parts += [quote(sample(engine, code, seed)) for seed in range(10)]
    (folder / "README.md").write_text("\n".join(parts), encoding="utf-8")


def sample(engine: Engine, prefix: str, seed: int) -> str:
    options = GenerationOptions(length=150, seed=seed, sampling=Sampling(temperature=0.7, top_p=0.8))
    return prefix + "".join(piece.text for piece in generate(engine, prepare_prompt(engine, prefix, options), options))


def quote(text: str) -> str:
    return "".join(f"> {line}  \n" for line in text.splitlines())


CARD = """# starter

The model that is served when you bring none: a GPT-2 of 4.5 million parameters (4 layers, 256 wide, 2 heads, window 1,024,
4,096 byte pairs), trained from nothing by `finetune train` on text written for this project and released under CC0:
{lines:,} ideas that unfold into {documents:,} documents. It tells small jokes, judges small conflicts and makes small
talk, in plain English, and knows nothing else. `make starter` makes it anew.

Surprise per token: {known:.2f} nats on documents it was trained on, {unknown:.2f} on the {held:,} documents of ideas it
never met. Rounding to 8 bits moved its predictions by {kl:.1e} nats.

It knows its corpus nearly by heart, as so small a model must to speak in whole sentences: most of what it says stands there
as it is, the rest is put together from it. `top_p=0.8` keeps it to what it knows best.

Below are ten samples of each kind at `temperature=0.7&top_p=0.8`, seeds 0 to 9, none picked or mended.
"""
