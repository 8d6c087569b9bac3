"""Do this engine and gpt-2-simple compute the same?

`python -m benchmarks.parity [CHECKPOINT]` compares the 32-bit bundle of 124M's shape with gpt-2-simple: logits, and 200 greedy
tokens. Then it measures what 8 and 4 bits change on real text. That needs a trained checkpoint: by default the starter's,
checkpoint/starter, which `make starter` leaves there, on the documents that were held out of its training.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from app.engine.base import start_tokens
from app.engine.batch import generate
from app.engine.bundle import open_bundle
from app.engine.generation import GenerationOptions, prepare
from app.engine.onnx import OnnxEngine
from app.engine.sampling import Sampling
from app.engine.tensorflow import TensorflowEngine
from benchmarks.subject import CHECKPOINT, WORK, bundle, report
from finetune.export.parity import compare_logits, logits_step_by_step, sample_with_logits
from finetune.starter.ideas import documents

GREEDY_TOKENS = 200
TEXTS = 100


def exactness() -> dict[str, Any]:
    engine, reference = OnnxEngine(open_bundle(bundle(32)), threads=2), TensorflowEngine(CHECKPOINT, threads=2)
    tokens, logits = sample_with_logits(engine, 192)
    options = GenerationOptions(length=GREEDY_TOKENS, sampling=Sampling(temperature=0))
    texts = ["".join(p.text for p in generate(e, prepare(e, "Why", options), options)) for e in (engine, reference)]
    return {
        "fp32, largest difference of a logit": float(
            f"{compare_logits(logits, reference.all_logits(tokens)).max_difference:.1e}"
        ),
        f"fp32, {GREEDY_TOKENS} greedy tokens the same": texts[0] == texts[1],
    }


def read(engine: OnnxEngine, texts: list[str]) -> np.ndarray:
    """The logits after every token of every text."""
    return np.concatenate([logits_step_by_step(engine, start_tokens(engine, text)) for text in texts])


def rounding(checkpoint: Path) -> dict[str, Any]:
    texts = documents()[1][:TEXTS]
    logits = {}
    for bits in (32, 8, 4):
        out = WORK / f"trained-{bits}"
        command = ["-m", "finetune", "export", "--checkpoint", str(checkpoint), "--out", str(out), "--bits", str(bits)]
        subprocess.run([sys.executable, *command, "--end", "4095"], check=True)
        logits[bits] = read(OnnxEngine(open_bundle(out), threads=2), texts)
    rows: dict[str, Any] = {"real text, tokens read": len(logits[32])}
    for bits in (8, 4):
        parity = compare_logits(logits[bits], logits[32])
        rows[f"{bits} bits, mean divergence from fp32, nats"] = float(f"{parity.mean_kl:.2e}")
        rows[f"{bits} bits, same likeliest token"] = round(parity.same_choice, 4)
    return rows


if __name__ == "__main__":
    trained = Path(sys.argv[1] if len(sys.argv) > 1 else "checkpoint/starter")
    if not trained.is_dir():
        sys.exit(
            f"error: {trained} is not there: run `make starter`, or name a checkpoint of the starter's vocabulary."
        )
    report("parity", exactness() | rounding(trained))
