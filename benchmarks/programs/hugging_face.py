"""How fast is transformers on PyTorch? `python -m benchmarks.programs.hugging_face FOLDER` loads a Hugging Face folder."""

from __future__ import annotations

import sys
from typing import Any

from benchmarks.programs.worker import TOP_K, clock, ids, serve


class HuggingFace:
    def __init__(self, folder: str) -> None:
        import torch
        from transformers import GPT2LMHeadModel

        torch.set_num_threads(1)
        torch.set_grad_enabled(False)
        self.torch = torch
        self.model = GPT2LMHeadModel.from_pretrained(folder).eval()

    def write(self, rows: int, prompt: int, steps: int) -> list[float]:
        torch, ends = self.torch, []
        given, cache = torch.tensor([ids(prompt)] * rows), None
        for _ in range(steps):
            given, cache = self._step(given, cache)
            ends.append(clock())
        return ends

    def _step(self, given: Any, cache: Any) -> tuple[Any, Any]:
        out = self.model(given, past_key_values=cache, use_cache=True, logits_to_keep=1)
        likeliest = self.torch.topk(out.logits[:, -1], TOP_K)
        drawn = self.torch.multinomial(likeliest.values.softmax(-1), 1)
        return likeliest.indices.gather(-1, drawn), out.past_key_values

    def read(self, prompt: int) -> float:
        began = clock()
        return self.write(1, prompt, 1)[-1] - began


if __name__ == "__main__":
    serve(lambda: HuggingFace(sys.argv[1]))
