"""`starter`: train the embedded default from scratch, about fifty minutes on two cores.

    python -m finetune starter --out models/starter

It takes the steps that anybody takes with a corpus of their own: `prepare`, which learns a vocabulary from it, `train` from
scratch, and `export`. The corpus is described in finetune/starter/ideas.py. The held-out ideas measure how well the model
predicts what it was not trained on.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec

from finetune.commands.export import export
from finetune.commands.prepare import prepare
from finetune.commands.train import train
from finetune.export.profile_options import ProfileOptions
from finetune.starter.ideas import SEED, documents
from finetune.starter.model_card import write_card
from finetune.training.options import TrainingOptions

SHAPE: dict[str, Any] = {"n_ctx": 1024, "n_embd": 256, "n_head": 2, "n_layer": 4}
VOCABULARY = 4096
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

PROFILE = ProfileOptions(
    title="Small jokes and small talk",
    about="A very small GPT-2, trained on text written for it: jokes, verdicts on small conflicts, and small talk.",
    template=r"[USER] %\n[BOT] %",
    questions="qa",
    beginning=["Hello! How are you?", "I love the mountains.", "My cat woke me up too early.", "Tell me a secret."],
    temperature=0.7,
    top_p=0.8,
)


def starter(*, out: Path = Path("models/starter"), work: Path = Path("checkpoint")) -> None:
    """Train the embedded default from its corpus and export it, with its card.

    Args:
        out: the bundle's folder
        work: the folder for the corpus, the prepared data and the run; those of an earlier training are replaced
    """
    texts, held_out = documents()
    corpus, data, run = work / "starter.jsonl", work / "starter-data", work / "starter"
    work.mkdir(parents=True, exist_ok=True)
    corpus.write_bytes(b"".join(msgspec.json.encode({"body": text}) + b"\n" for text in texts))
    prepare([str(corpus)], out=data, vocabulary_size=VOCABULARY, near_duplicates=0)
    shutil.rmtree(run, ignore_errors=True)
    train(TrainingOptions(data=data, out=run, init="scratch", seed=SEED, **SHAPE, **TRAINING))
    export(run, out=out, end=str(VOCABULARY - 1), profile=PROFILE)
    write_card(out, texts, held_out)
