"""How many tokens a second on one core, and how many times as many as gpt-2-simple?

`python -m benchmarks.speed` runs both alternately for three rounds, each in its own process on the same core: 124M's shape,
one text of 128 tokens, top-k 40. Every token reads all weights once, so this engine is limited by memory bandwidth; the
core's bandwidth is measured too. The medians are reported.
"""

from __future__ import annotations

import contextlib
import io
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.subject import CHECKPOINT, bandwidth, bundle, on_one_core, report, resident

TOKENS = 128
ROUNDS = 3


def ours(folder: str, samples: int = 1) -> dict[str, Any]:
    from app.engine.base import Chunk
    from app.engine.batch import generate
    from app.engine.bundle import open_bundle
    from app.engine.generation import GenerationOptions, prepare
    from app.engine.onnx import OnnxEngine
    from app.engine.sampling import Sampling

    engine = OnnxEngine(open_bundle(Path(folder)), threads=1)
    seconds = []
    for seed in range(4):
        options = GenerationOptions(
            length=TOKENS, samples=samples, seed=seed, sampling=Sampling(temperature=1.0, top_k=40)
        )
        began = time.perf_counter()
        count = sum(1 for _ in generate(engine, prepare(engine, "", options), options))
        seconds.append((time.perf_counter() - began) / count)
    tokens = engine.tokenizer.encode("a") * 512
    began = time.perf_counter()
    engine.slots(1, 512).run([], Chunk(0, np.array(tokens[:512]), 0))
    prefill = 512 / (time.perf_counter() - began)
    return {"tokens_per_s": 1 / min(seconds[1:]), "prefill_tokens_per_s": prefill, "peak_mb": resident(field="VmHWM")}


def theirs() -> dict[str, Any]:
    import gpt_2_simple

    seconds = []
    with contextlib.redirect_stdout(io.StringIO()):
        session = gpt_2_simple.start_tf_sess(threads=1)
        where = {"run_name": CHECKPOINT.name, "checkpoint_dir": str(CHECKPOINT.parent)}
        gpt_2_simple.load_gpt2(session, **where)
        for _ in range(3):
            began = time.perf_counter()
            gpt_2_simple.generate(session, **where, length=TOKENS, temperature=1.0, top_k=40, return_as_list=True)
            seconds.append(time.perf_counter() - began)
    return {"tokens_per_s": TOKENS / min(seconds[1:]), "peak_mb": resident(field="VmHWM")}


def main() -> None:
    folders = {bits: str(bundle(bits)) for bits in (8, 4, 32)}
    runs: dict[str, list[dict[str, Any]]] = {}
    for _ in range(ROUNDS):
        for name, command in {
            "gpt-2-simple": ["theirs"],
            **{f"{bits} bits": ["ours", folder] for bits, folder in folders.items()},
            "8 bits, 8 texts at once": ["ours", folders[8], "8"],
            "bandwidth": ["bandwidth"],
        }.items():
            runs.setdefault(name, []).append(on_one_core("-m", "benchmarks.speed", *command))

    def median(name: str, figure: str) -> float:
        return float(statistics.median(run[figure] for run in runs[name]))

    read = median("bandwidth", "gb_per_s")
    rows: dict[str, Any] = {"one core reads, GB/s": round(read, 1)}
    for name in [name for name in runs if name != "bandwidth"]:
        rows[f"{name}, tokens/s"] = round(median(name, "tokens_per_s"), 1)
        rows[f"{name}, peak MB"] = round(median(name, "peak_mb"))
    rows["8 bits, prompt tokens/s"] = round(median("8 bits", "prefill_tokens_per_s"))
    ratios = [a["tokens_per_s"] / b["tokens_per_s"] for a, b in zip(runs["8 bits"], runs["gpt-2-simple"], strict=True)]
    rows["8 bits / gpt-2-simple, each round"] = [round(ratio, 1) for ratio in ratios]
    rows["8 bits, scaled to a core that reads 33 GB/s"] = round(median("8 bits", "tokens_per_s") * 33 / read)
    report("speed", rows)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    elif sys.argv[1] == "ours":
        print(json.dumps(ours(sys.argv[2], *map(int, sys.argv[3:]))))
    elif sys.argv[1] == "theirs":
        print(json.dumps(theirs()))
    else:
        print(json.dumps({"gb_per_s": bandwidth()}))
