"""How fast is CTranslate2? `python -m benchmarks.programs.ctranslate FOLDER` loads what its converter made."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from benchmarks.programs.worker import TOP_K, clock, ids, serve


class CTranslate:
    def __init__(self, folder: str) -> None:
        import ctranslate2

        self.generator = ctranslate2.Generator(folder, device="cpu", compute_type="int8", intra_threads=1)
        self.words = self._words(Path(folder))

    def _words(self, folder: Path) -> list[str]:
        import json

        return list(json.loads((folder / "vocabulary.json").read_text(encoding="utf-8")))

    def write(self, rows: int, prompt: int, steps: int) -> list[float]:
        ends: list[float] = []

        def note(result: Any) -> bool:
            if result.batch_id == rows - 1:
                ends.append(clock())
            return False

        self.generator.generate_batch(
            [[self.words[token] for token in ids(prompt)]] * rows,
            max_length=steps,
            min_length=steps,
            sampling_topk=TOP_K,
            beam_size=1,
            include_prompt_in_result=False,
            callback=note,
        )
        return ends

    def read(self, prompt: int) -> float:
        began = clock()
        return self.write(1, prompt, 1)[-1] - began


if __name__ == "__main__":
    serve(lambda: CTranslate(sys.argv[1]))
