"""How many steps a second does training do, in how much memory, and does it learn the same?

`python -m benchmarks.training` trains 124M's shape on rows of 1,024 tokens, one row a step, on all cores: gpt-2-simple's own
`finetune`, and this project's in 32 bits and in bfloat16. They run alternately, each in its own process, on the same windows of
the same text from the same weights, and the losses of ten steps are compared. A model of the starter's shape shows over 300
steps how much bfloat16 changes the loss curve, compared with what another order of the same text changes.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from app.engine.bundle import Hparams
from app.engine.checkpoint_folder import open_checkpoint
from benchmarks.subject import CHECKPOINT, WORK, bundle, report, resident
from finetune.data.packing import Packed, Windows, batch
from finetune.data.prepared import Data, open_data
from finetune.training.options import Precision, TrainingOptions

STEPS = 10
ROUNDS = 2
CURVE = 300
LEARNING_RATE = 1e-4
WINDOW = 1024


def corpus() -> Data:
    """The starter's texts in the tokens of the 124M-shaped model."""
    folder = WORK / "training-data"
    if not (folder / "description.json").exists():
        from finetune.commands.prepare import prepare
        from finetune.starter.ideas import documents

        text = WORK / "training.txt"
        text.write_text("".join(f"<|startoftext|>{text}<|endoftext|>\n" for text in documents()[0][:4000]))
        prepare([str(text)], out=folder, vocabulary=CHECKPOINT, validation=0, near_duplicates=0)
    return open_data(folder)


def theirs(steps: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as work, contextlib.redirect_stdout(io.StringIO()):
        losses, seconds = gpt_2_simples_run(CHECKPOINT, corpus(), Path(work), steps, LEARNING_RATE)
    return {"losses": losses, "seconds": seconds, "peak_mb": resident(field="VmHWM")}


def gpt_2_simples_run(
    init: Path, data: Data, work: Path, steps: int, learning_rate: float
) -> tuple[list[float], list[float]]:
    """Let gpt-2-simple train on the windows of `Windows`. Returns its losses and the seconds between its steps."""
    import gpt_2_simple
    from gpt_2_simple import gpt_2
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    rows, asked = Windows(data.train, WINDOW), list[float]()

    class Sampler(gpt_2.Sampler):  # type: ignore[misc]
        def sample(self, length: int) -> Any:
            asked.append(time.perf_counter())
            return batch(rows, len(asked) - 1, 1).tokens[0]

    gpt_2.Sampler = Sampler
    np.savez_compressed(work / "tokens.npz", np.asarray(data.train.tokens, np.int32))
    gpt_2_simple.finetune(
        gpt_2_simple.start_tf_sess(),
        str(work / "tokens.npz"),
        steps=steps,
        model_name=init.name,
        model_dir=str(init.parent),
        checkpoint_dir=str(work),
        learning_rate=learning_rate,
        accumulate_gradients=1,
        sample_every=10**9,
        save_every=10**9,
    )
    # It prints two decimals and writes all of them for TensorBoard.
    events = EventAccumulator(str(work / "run1"), size_guidance={"scalars": 0})
    events.Reload()
    return [event.value for event in events.Scalars("loss")], np.diff(asked).tolist()


def ours(steps: int, precision: Precision) -> dict[str, Any]:
    from finetune.checkpoint import read_weights
    from finetune.training.trainer import Trainer

    options = TrainingOptions(
        data=WORK, out=WORK, precision=precision, learning_rate=LEARNING_RATE, decay_to=1.0, weight_decay=0.0, clip=0.0
    )
    source, data = open_checkpoint(CHECKPOINT), corpus()
    trainer = Trainer(options, source.hparams, read_weights(source), data.description.end_of_text, segments=1)
    rows, losses, seconds = Windows(data.train, WINDOW), [], []
    for number in range(steps):
        began = time.perf_counter()
        losses.append(float(trainer.step([batch(rows, number, 1)])))
        seconds.append(time.perf_counter() - began)
    return {"losses": losses, "seconds": seconds[:-1], "peak_mb": resident(field="VmHWM")}


def curve(precision: Precision, seed: int) -> dict[str, Any]:
    """The losses of 300 steps of a small model, trained from scratch."""
    from finetune.checkpoint import initial_weights
    from finetune.training.trainer import Trainer

    data = corpus()
    hparams = Hparams(n_vocab=data.description.n_vocab, n_ctx=256, n_embd=256, n_head=2, n_layer=4)
    options = TrainingOptions(data=WORK, out=WORK, steps=CURVE, precision=precision, learning_rate=1e-3, warmup=20)
    rows = Packed(data.train, data.description.end_of_text, hparams.n_ctx, seed)
    trainer = Trainer(options, hparams, initial_weights(hparams), data.description.end_of_text, rows.segments)
    return {"losses": [float(trainer.step([batch(rows, number, 1)])) for number in range(CURVE)]}


def run(*command: str) -> dict[str, Any]:
    """Run this module in a separate process. Returns the JSON of its last line."""
    variables = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    printed = subprocess.run(
        [sys.executable, "-m", "benchmarks.training", *command],
        env=variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
    )  # fmt: skip
    result: dict[str, Any] = json.loads(printed.stdout.splitlines()[-1])
    return result


def main() -> None:
    bundle(8)  # Makes the checkpoint.
    corpus()
    runs: dict[str, list[dict[str, Any]]] = {}
    for _ in range(ROUNDS):
        for name in ("gpt-2-simple", "float32", "bfloat16"):
            runs.setdefault(name, []).append(run(name, str(STEPS)))
    rows: dict[str, Any] = {}
    for name, results in runs.items():
        # The first steps compile and warm up.
        seconds = [statistics.median(result["seconds"][2:]) for result in results]
        rows[f"{name}, seconds a step"] = round(statistics.median(seconds), 3)
        rows[f"{name}, peak MB"] = round(max(result["peak_mb"] for result in results))
    for name in ("float32", "bfloat16"):
        faster = rows["gpt-2-simple, seconds a step"] / rows[f"{name}, seconds a step"]
        rows[f"{name} / gpt-2-simple, steps a second"] = round(faster, 2)
        rows[f"{name} / gpt-2-simple, peak memory"] = round(rows[f"{name}, peak MB"] / rows["gpt-2-simple, peak MB"], 2)
    first = {name: np.array(results[0]["losses"]) for name, results in runs.items()}
    for name in ("float32", "bfloat16"):
        difference = np.abs(first[name] - first["gpt-2-simple"]).max()
        rows[f"{name}, largest difference of {STEPS} losses"] = float(f"{difference:.1e}")
    curves = [run("curve", *which) for which in (("float32", "0"), ("bfloat16", "0"), ("float32", "1"))]
    same, rounded, other = (np.array(found["losses"]).reshape(-1, 50).mean(axis=1) for found in curves)
    rows[f"{CURVE} steps by fifties, bfloat16 differs by"] = round(float(np.abs(rounded - same).max()), 4)
    rows[f"{CURVE} steps by fifties, another order differs by"] = round(float(np.abs(other - same).max()), 4)
    rows["losses"] = {name: [round(float(loss), 4) for loss in losses] for name, losses in first.items()}
    report("training", rows)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    elif sys.argv[1] == "curve":
        print(json.dumps(curve(sys.argv[2], int(sys.argv[3]))))  # type: ignore[arg-type]
    elif sys.argv[1] == "gpt-2-simple":
        print(json.dumps(theirs(int(sys.argv[2]))))
    else:
        print(json.dumps(ours(int(sys.argv[2]), sys.argv[1])))  # type: ignore[arg-type]
