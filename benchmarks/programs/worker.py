"""How fast does one program write and read? Each is a process that measures one case at a time.

It loads its model, says so in a line, and waits for cases on its standard input, so that programs can take turns: a case of one,
then the same case of the next. Other people's programs run in environments that have no more than they need, so this module
imports the standard library alone.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

STEPS = 32
TOP_K = 40
VOCABULARY = 50_000
"""Token ids below this are text in GPT-2's vocabulary."""


clock = time.process_time
"""Seconds that this process has had of its core: all of them where nobody else is on it, and no others' where somebody is."""


class Case(NamedTuple):
    """What is measured.

    `write`: tokens a second of `rows` texts side by side, around their token number `tokens`.
    `read`: tokens a second of one prompt of `tokens` tokens, up to the first token after it; the better of two.
    """

    kind: str
    rows: int
    tokens: int

    def __str__(self) -> str:
        return f"{self.kind}-{self.tokens}" + f"x{self.rows}" * (self.kind == "write")

    @classmethod
    def parse(cls, text: str) -> Case:
        kind, _, size = text.partition("-")
        tokens, _, rows = size.partition("x")
        return cls(kind, int(rows or 1), int(tokens))


class Program(Protocol):
    def write(self, rows: int, prompt: int, steps: int) -> list[float]:
        """Write `steps` tokens, chosen with top-k 40, of each text after a prompt. Returns when each step ended, in seconds."""
        ...

    def read(self, prompt: int) -> float:
        """Read a prompt of that many tokens and choose the token after it. Returns the seconds that this took."""
        ...


def measure(program: Program, case: Case, steps: int = STEPS) -> float:
    """Tokens a second. For `write`, of the median step; half of the steps are before the case's token number, half after."""
    if case.kind == "read":
        return case.tokens / min(program.read(case.tokens) for _ in range(2))
    ends = program.write(case.rows, case.tokens - steps // 2, steps + 1)
    return case.rows / statistics.median(after - before for before, after in pairwise(ends))


def ids(count: int) -> list[int]:
    """The tokens of a prompt: all different, as a prefix that repeats could be cheaper."""
    return [1000 + 7 * number % VOCABULARY for number in range(count)]


def peak_mb() -> float:
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1000


def serve(load: Callable[[], Program]) -> None:
    """Answer cases with figures until the input ends. What fails is answered with its reason."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What a library prints is no answer.
    program = load()
    print(json.dumps({"loaded_s": clock()}), file=answers, flush=True)
    for line in sys.stdin:
        figures: dict[str, Any]
        try:
            figures = {"tokens_per_s": measure(program, Case.parse(line.strip())), "peak_mb": peak_mb()}
        except Exception as error:  # It is measured without this case.
            figures = {"failed": f"{type(error).__name__}: {error}".splitlines()[0]}
        gc.collect()
        print(json.dumps(figures), file=answers, flush=True)
