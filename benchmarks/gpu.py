"""How fast does training go on this GPU, and how fast could it go?

`python -m benchmarks.gpu` needs a GPU, JAX and PyTorch with transformers, no TensorFlow. It trains GPT-2 124M's and 355M's
shapes with random weights on rows of 1,024 tokens: this project's Trainer with its default options, and transformers with
SDPA, torch.compile, fused AdamW and bfloat16 autocast. Both clip the gradient and hold weights in float32. Documents are
full rows, or short and packed into rows; of packed rows, the tokens that count in the loss are counted. The peer has no
packing: its usual recipe concatenates documents and ignores their borders, which costs what its full rows cost.

A large product of two 8192 × 8192 matrices in bfloat16, through JAX and through PyTorch, says what the GPU can reach.
Operations are counted as 6N + 12·L·E·T a token (finetune/training/model_flops.py), T being the length of a row or, averaged over
tokens, of a packed document.

Each case runs in a process of its own, the most important first. A case that fails is a row that says why. No case begins
after --limit seconds, and a minute later all has ended.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from app.errors import SettingError
from benchmarks.gpu_case import Case, Figures, Program
from benchmarks.gpu_table import Result, line, tables
from benchmarks.subject import RESULTS, machine

CASE_SECONDS = 100.0
"""A case that takes longer is stopped."""
LAST_CASE_SECONDS = 60.0
"""The last case may go on for so long after --limit."""


def trains(program: Program, batch: int, model: str = "124M", rows: Any = "full", precision: Any = "bfloat16") -> Case:
    return Case(program, model, precision, rows, batch)


CASES = (  # The most important first.
    Case("jax", "", "bfloat16", "product", 0),
    Case("torch", "", "bfloat16", "product", 0),
    trains("ours", 32),
    trains("transformers", 32),
    trains("ours", 8),
    trains("ours", 32, rows="packed"),
    trains("ours", 16, model="355M"),
    trains("transformers", 8),
    trains("ours", 64),
    trains("transformers", 64),
    trains("transformers-tuned", 32),
    trains("ours", 16),
    trains("transformers", 16, model="355M"),
    trains("ours", 32, model="355M"),
    trains("ours", 8, model="355M"),
    trains("ours", 8, precision="float32"),
    trains("transformers", 8, precision="float32"),
    trains("ours", 8, rows="packed"),
    trains("transformers", 16),
    trains("transformers", 8, model="355M"),
)


@dataclass(frozen=True)
class Started:
    """A case's process. It gets ready, and waits to be told to go on."""

    process: subprocess.Popen[str]
    folder: Path

    def finish(self, seconds: float) -> Figures:
        """Let it go on. Returns its figures, or why there are none."""
        try:
            self.process.communicate("go\n", timeout=seconds)
        except subprocess.TimeoutExpired:
            return {"failed": f"not done after {seconds:.0f} seconds"}
        finally:
            self.stop()
        result = self.folder / "result.json"
        if not result.exists():
            said = (self.folder / "log").read_text(errors="replace").split("\n")
            last = next((line.strip() for line in reversed(said) if line.strip()), "nothing")
            return {"failed": f"ended with code {self.process.returncode}, and said last: {last[:200]}"}
        figures: Figures = json.loads(result.read_text())
        return figures

    def stop(self) -> None:
        """End it, and compilers' workers that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.process.stdin:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()


def start(case: Case, folder: Path, tiny: bool) -> Started:
    """Start a case. `folder` gets its log, its result and what PyTorch compiles, so that no first step is warm."""
    folder.mkdir()
    variables = {
        "KERAS_BACKEND": "jax",
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    # One GPU each: the figures are per GPU.
    variables["CUDA_VISIBLE_DEVICES"] = "" if tiny else os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    if tiny:
        variables["JAX_PLATFORMS"] = "cpu"
    described = json.dumps(asdict(case) | {"tiny": tiny})
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.gpu_programs", described, str(folder / "result.json")],
            env=os.environ | variables, stdin=subprocess.PIPE, stdout=log, stderr=log, text=True, start_new_session=True,
        )  # fmt: skip
    return Started(process, folder)


def measure(cases: Sequence[Case], limit: float, tiny: bool, work: Path) -> Iterator[Result]:
    """Run the cases one after the other. Each gets ready (imports, weights, rows) while the one before it is measured."""
    began = time.monotonic()
    following = start(cases[0], work / "0", tiny)
    try:
        for number, case in enumerate(cases):
            elapsed = time.monotonic() - began
            if elapsed > limit:
                yield Result(case, {"failed": f"not begun: over the limit of {limit:.0f} seconds"})
                continue
            current = following
            if number + 1 < len(cases):
                following = start(cases[number + 1], work / str(number + 1), tiny)
            try:
                yield Result(case, current.finish(min(CASE_SECONDS, limit + LAST_CASE_SECONDS - elapsed)))
            finally:
                current.stop()
    finally:
        following.stop()


def run(cases: Sequence[Case], limit: float, tiny: bool) -> list[Result]:
    """The results, also those so far where a signal ends the run early."""
    results: list[Result] = []
    began = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as work, contextlib.suppress(KeyboardInterrupt):
        for result in measure(cases, limit, tiny, Path(work)):
            results.append(result)
            print(
                f"[{time.monotonic() - began:4.0f} s] {result.case.name}: {result.summary()}",
                file=sys.stderr,
                flush=True,
            )
    return results


def gpu() -> str:
    """The GPU's name and driver, or nothing where there is none."""
    if not shutil.which("nvidia-smi"):
        return ""
    command = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    return said.stdout.splitlines()[0] if said.returncode == 0 and said.stdout else ""


def versions() -> dict[str, str]:
    found = {}
    for package in ("jax", "keras", "torch", "transformers"):
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def selected(patterns: Sequence[str]) -> list[Case]:
    """The cases whose names match a pattern, in their order. Raises SettingError for a pattern that none matches."""
    for pattern in patterns:
        if not any(fnmatch(case.name, pattern) for case in CASES):
            names = ", ".join(case.name for case in CASES)
            raise SettingError(f"--cases {pattern} matches no case. The cases are {names}.")
    return [case for case in CASES if any(fnmatch(case.name, pattern) for pattern in patterns)]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description="Measure training on this GPU.")
    parser.add_argument(
        "--cases", nargs="+", default=["*"], metavar="PATTERN", help="such as 'ours-124M-*' or '*-packed-*'"
    )
    parser.add_argument("--limit", type=float, default=420.0, help="seconds after which no case begins (default: 420)")
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/gpu.json")
    parser.add_argument(
        "--tiny", action="store_true", help="try all cases out on the CPU, with a model that measures nothing"
    )
    asked = parser.parse_args(arguments)
    try:
        cases, card = selected(asked.cases), gpu()
        if not card and not asked.tiny:
            raise SettingError(
                "nvidia-smi shows no GPU: run this on a machine that has one, or try it out with --tiny."
            )
        if asked.tiny and asked.write:
            raise SettingError("--tiny measures nothing worth keeping: leave --write out.")
    except SettingError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    results = run(cases, asked.limit, asked.tiny)
    print(tables(results), end="\n\n")
    found = line(results, machine() | {"gpu": card} | versions())
    if asked.write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "gpu.json").write_text(f"{found}\n", encoding="utf-8")
    print(found)


if __name__ == "__main__":
    main()
