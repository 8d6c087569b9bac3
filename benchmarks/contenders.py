"""Who is measured: this version with each number of bits, the version before it, and the peers, all with the same weights.

A contender is a command that starts its process (see `programs.worker`), and what one step of it has to read: its weights, and
the keys and values of each position before.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from benchmarks import peers
from benchmarks.programs.worker import Case
from benchmarks.subject import CHECKPOINT, PEERS, SHAPE, bundle

ROOT = Path(__file__).parent.parent
EARLIER = "961c4c7"
"""The last version with a thread for each request and one graph for all."""

ROWS, DEPTHS, PROMPTS = (1, 2, 4, 8, 16), (128, 900), (16, 128, 512, 1000)
CASES = [
    *(Case("write", rows, depth) for depth in DEPTHS for rows in ROWS),
    *(Case("read", 1, length) for length in PROMPTS),
]
ALL = ("*",)
# They are slow, and a case of them would take as long as all others.
FEW = ("write-*x1", "write-128x8", "read-128", "read-512")
NOT_MANY_LONG = ("write-128x*", "write-900x[1248]", "read-*")
# Values of one position: keys and values of all layers.
VALUES = 2 * SHAPE.n_layer * SHAPE.n_embd
# Of a weight, with its share of the scales.
STORED_BITS = {8: 8.25, 4: 4.25, 32: 32.0}
# Weights that a step multiplies with: four matrices a layer and the head.
WEIGHTS = SHAPE.n_layer * 12 * SHAPE.n_embd**2 + SHAPE.n_vocab * SHAPE.n_embd


@dataclass(frozen=True)
class Contender:
    name: str
    command: Callable[[], Sequence[str]]
    """Makes what is not there yet. Raises PeerMissing."""
    files: Callable[[], Path]
    """The weights on the disk."""
    bits: float
    """Of a weight, with its share of scales."""
    position_bytes: int
    folder: Path = ROOT
    cases: Sequence[str] = ALL
    rows: int = 1
    slow: bool = False
    """Measured in the first round only."""

    def takes(self, case: Case) -> bool:
        return any(fnmatch(str(case), pattern) for pattern in self.cases)

    @property
    def weight_bytes(self) -> float:
        return WEIGHTS * self.bits / 8

    def cache_bytes(self, case: Case) -> float:
        """Keys and values that a step of `write` reads."""
        return case.rows * case.tokens * self.position_bytes


def module(name: str, *arguments: str, interpreter: str | Path = sys.executable) -> list[str]:
    return [str(interpreter), "-m", f"benchmarks.programs.{name}", *arguments]


def ours(bits: int, rows: int = 1) -> Contender:
    """The version that is here. The app chooses the graph by CONCURRENCY, the number of rows."""
    label = f"{bits} bits" + f", {rows} rows" * (rows > 1)
    # The cache of the graph for batches has 8 bits.
    cache = VALUES * (1 if rows > 1 else 4)
    return Contender(
        label,
        lambda: module("ours", str(bundle(bits)), str(rows)),
        lambda: bundle(bits),
        STORED_BITS[bits],
        cache,
        rows=rows,
        slow=bits == 32,
    )


def earlier(bits: int) -> Contender:
    """The version before, with the bundle that it made."""
    return Contender(
        f"{bits} bits before",
        lambda: module("ours", str(earlier_bundle(bits))),
        lambda: earlier_bundle(bits),
        STORED_BITS[bits],
        4 * VALUES,
        folder=PEERS / "before",
        slow=bits == 32,
    )


def earlier_code() -> Path:
    """The earlier version's `app` and `finetune`, without its benchmarks: these are shared."""
    folder = PEERS / "before"
    if not folder.exists():
        command = ["git", "archive", EARLIER, "app", "finetune"]
        packed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(packed)) as files:
            files.extractall(folder, filter="data")
    return folder


def earlier_bundle(bits: int) -> Path:
    return bundle(bits, code=earlier_code())


def peer(
    name: str,
    program: str,
    environment: str,
    files: Callable[[], Path],
    bits: float,
    cache_bits: int,
    cases: Sequence[str] = ALL,
    slow: bool = False,
) -> Contender:
    return Contender(
        name,
        lambda: module(program, str(files()), interpreter=peers.python(environment)),
        files,
        bits,
        VALUES * cache_bits // 8,
        cases=cases,
        slow=slow,
    )


def contenders() -> Iterator[Contender]:
    """All of them, the most important first."""
    yield earlier(8)
    yield ours(8)
    yield ours(8, rows=16)
    yield peer("CTranslate2 int8", "ctranslate", "ctranslate2", peers.ctranslate2, 8, 32)
    yield peer("llama.cpp Q8_0", "llama", "llama.cpp", lambda: peers.gguf(8), 8.5, 16)
    yield earlier(4)
    yield ours(4)
    yield peer("llama.cpp Q4_0", "llama", "llama.cpp", lambda: peers.gguf(4), 5.75, 16)
    yield peer("OpenVINO int8", "open_vino", "openvino", peers.openvino, 8, 32, NOT_MANY_LONG, slow=True)
    yield earlier(32)
    yield ours(32)
    yield peer("transformers", "hugging_face", "transformers", peers.hugging_face, 32, 32, FEW, slow=True)
    command = module("simple", str(CHECKPOINT))
    yield Contender("gpt-2-simple", lambda: command, lambda: CHECKPOINT, 32, 4 * VALUES, cases=FEW, slow=True)
