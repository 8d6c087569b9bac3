"""How fast is llama.cpp? `python -m benchmarks.programs.llama FILE.gguf` runs it through llama-cpp-python's low level."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

from benchmarks.programs.worker import TOP_K, clock, ids, serve

ROWS, WINDOW, BATCH = 16, 1024, 512
LONG = 512
"""Prompts longer than this have a context of their own, so that no text is read anew because a shorter one came between."""


class Llama:
    """A context holds up to 16 texts, each in a cache of its own. What is measured alone has a context for one."""

    def __init__(self, file: str) -> None:
        import llama_cpp

        self.library = llama_cpp
        llama_cpp.llama_backend_init()
        self.model = llama_cpp.llama_model_load_from_file(file.encode(), llama_cpp.llama_model_default_params())
        self.batch = llama_cpp.llama_batch_init(BATCH, 0, ROWS)
        self.sampler = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        for sampler in (llama_cpp.llama_sampler_init_top_k(TOP_K), llama_cpp.llama_sampler_init_dist(1)):
            llama_cpp.llama_sampler_chain_add(self.sampler, sampler)
        self.context_of = cache(self._context)
        # Tokens that each text of each context holds.
        self.held: dict[tuple[Any, int], int] = {}

    def _context(self, texts: int, long: bool) -> Any:
        options = self.library.llama_context_default_params()
        options.n_ctx, options.n_seq_max, options.kv_unified = texts * WINDOW, texts, False
        options.n_batch = options.n_ubatch = BATCH
        options.n_threads = options.n_threads_batch = 1
        return self.library.llama_init_from_model(self.model, options)

    def write(self, rows: int, prompt: int, steps: int) -> list[float]:
        context = self.context_of(1 if rows == 1 else ROWS, prompt > LONG)
        for row in range(rows):
            self._hold(context, row, prompt)
        tokens, ends = [1] * rows, []
        for step in range(steps):
            self._run(context, [(token, prompt + step, row, True) for row, token in enumerate(tokens)])
            tokens = [self._choose(context, row) for row in range(rows)]
            ends.append(clock())
        return ends

    def read(self, prompt: int) -> float:
        context = self.context_of(1, False)
        began = clock()
        self._forget(context, 0, 0)
        self._hold(context, 0, prompt)
        self._choose(context, -1)
        return clock() - began

    def _hold(self, context: Any, row: int, prompt: int) -> None:
        """Let a text be the prompt, of which it may hold a part, with what was written after it."""
        tokens = ids(prompt)
        held = self._forget(context, row, prompt)
        for start in range(held, prompt, BATCH):
            chunk = tokens[start : start + BATCH]
            newest = start + len(chunk) - 1
            wanted = newest if newest == prompt - 1 else -1
            self._run(context, [(token, at, row, at == wanted) for at, token in enumerate(chunk, start)])
        self.held[context, row] = prompt

    def _forget(self, context: Any, row: int, length: int) -> int:
        """Keep at most that many tokens of a text. Returns how many there are."""
        self.library.llama_memory_seq_rm(self.library.llama_get_memory(context), row, length, -1)
        self.held[context, row] = min(self.held.get((context, row), 0), length)
        return self.held[context, row]

    def _run(self, context: Any, entries: Sequence[tuple[int, int, int, bool]]) -> None:
        batch: Any = self.batch
        batch.n_tokens = len(entries)
        for index, (token, position, row, wanted) in enumerate(entries):
            batch.token[index], batch.pos[index], batch.logits[index] = token, position, wanted
            batch.n_seq_id[index] = 1
            batch.seq_id[index][0] = row
        if code := self.library.llama_decode(context, batch):
            raise RuntimeError(f"llama_decode says {code}")

    def _choose(self, context: Any, index: int) -> int:
        return int(self.library.llama_sampler_sample(self.sampler, context, index))


if __name__ == "__main__":
    serve(lambda: Llama(sys.argv[1]))
