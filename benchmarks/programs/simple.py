"""How fast is gpt-2-simple? `python -m benchmarks.programs.simple CHECKPOINT` loads `CHECKPOINT` as it does.

A run of its graph writes a whole text, so a step is what a longer text takes more than a shorter one. The graph is built before
the clock starts.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.programs.worker import TOP_K, clock, ids, serve


class Simple:
    def __init__(self, checkpoint: str) -> None:
        import gpt_2_simple

        folder = Path(checkpoint)
        self.session = gpt_2_simple.start_tf_sess(threads=1)
        gpt_2_simple.load_gpt2(self.session, run_name=folder.name, checkpoint_dir=str(folder.parent))
        self.hparams = gpt_2_simple.src.model.default_hparams()
        self.hparams.override_from_dict(json.loads((folder / "hparams.json").read_text(encoding="utf-8")))
        self.graph = cache(self._graph)

    def _graph(self, rows: int, prompt: int, steps: int) -> Any:
        from gpt_2_simple.src import sample
        from tensorflow.compat.v1 import placeholder

        context = placeholder("int32", [rows, None])
        tokens = sample.sample_sequence(
            hparams=self.hparams, length=steps, context=context, batch_size=rows, temperature=1.0, top_k=TOP_K
        )
        # The first run prepares the graph.
        self.session.run(tokens, {context: [ids(prompt)] * rows})
        return context, tokens

    def _seconds(self, rows: int, prompt: int, steps: int) -> float:
        context, tokens = self.graph(rows, prompt, steps)
        began = clock()
        self.session.run(tokens, {context: [ids(prompt)] * rows})
        return clock() - began

    def write(self, rows: int, prompt: int, steps: int) -> list[float]:
        one, all_steps = self._seconds(rows, prompt, 1), self._seconds(rows, prompt, steps)
        step = (all_steps - one) / (steps - 1)
        return [step * number for number in range(steps)]

    def read(self, prompt: int) -> float:
        return self._seconds(1, prompt, 1)


if __name__ == "__main__":
    serve(lambda: Simple(sys.argv[1]))
