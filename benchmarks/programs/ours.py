"""How fast is this project's engine, or that of an earlier version whose code is in the current folder?

`python -m benchmarks.programs.ours BUNDLE [ROWS]` imports `app` from there: both versions write texts with the same call. With
ROWS, the engine is the one that the app has with CONCURRENCY=ROWS.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from benchmarks.programs.worker import TOP_K, clock, ids, serve


class Ours:
    def __init__(self, folder: str, *rows: str) -> None:
        from app.engine.bundle import open_bundle
        from app.engine.onnx import OnnxEngine

        more: dict[str, Any] = {"rows": int(rows[0])} if rows else {}
        self.engine = OnnxEngine(open_bundle(Path(folder)), threads=1, **more)
        self.engine.load()
        self.generate = generation()

    def write(self, rows: int, prompt: int, steps: int) -> list[float]:
        from app.engine.generation import GenerationOptions
        from app.engine.sampling import Sampling

        sampling = Sampling(temperature=1.0, top_k=TOP_K)
        options = GenerationOptions(length=steps, samples=rows, ignore_end=True, sampling=sampling)
        tokens = [token % self.engine.hparams.n_vocab for token in ids(prompt)]
        deltas = [(delta.index, clock()) for delta in self.generate(self.engine, tokens, options)]
        return [end for index, end in deltas if index == rows - 1]

    def read(self, prompt: int) -> float:
        began = clock()
        return self.write(1, prompt, 1)[-1] - began


def generation() -> Any:
    """`generate`, wherever the version has it."""
    try:
        from app.engine.batch import generate
    except ImportError:
        import app.engine.generation

        return vars(app.engine.generation)["generate"]
    return generate


if __name__ == "__main__":
    serve(lambda: Ours(*sys.argv[1:]))
