"""How many tokens a second on one core, and how many times as many as other programs?

`python -m benchmarks.speed` measures this version, the one before and the peers that `benchmarks.peers` has made (see
`contenders`): 124M's shape, the same random weights, top-k 40, one pinned core. Each program is a process that stays, and they
take turns: a case of one, then the same case of the next, over several rounds. So whatever else the machine does, it does to all
of them, and what is said of two programs is the median of their ratios in the same round.

    write-900x8    tokens/s of 8 texts side by side, of the median of 32 steps around their token number 900
    read-512       tokens/s of a prompt of 512 tokens, with the choice of the token after it

Seconds are those that a process had of the core. Every token of `write` reads all weights, so the bandwidth of the memory is
measured beside it. A case that fails is a line that says why. Each round is written when it is done, with the machine's load.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from app.engine.bundle import open_bundle
from app.engine.onnx import OnnxEngine
from benchmarks.contenders import CASES, ROOT, ROWS, Contender, contenders, module, ours
from benchmarks.peers import PeerMissing
from benchmarks.programs.worker import Case
from benchmarks.speed_figures import megabytes, weight_bytes
from benchmarks.subject import CORE, HUGE_PAGES, RESULTS, WORK, bundle, machine

ROUNDS = 3
LOAD_SECONDS = 120.0
CASE_SECONDS = 300.0
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


class Worker:
    """A program's process. It is started by its first case, and anew by the case after one that ended it."""

    def __init__(self, name: str, command: Sequence[str], folder: Path = ROOT) -> None:
        self.name = name
        self._command = ["taskset", "-c", str(CORE), *command]
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def measure(self, case: Case, seconds: float = CASE_SECONDS) -> dict[str, Any]:
        """The case's figures, or why there are none."""
        try:
            process = self._process or self._start()
            print(case, file=process.stdin, flush=True)
            return self._answer(process, seconds)
        except (EOFError, TimeoutError, BrokenPipeError) as error:
            self.stop()
            return {"failed": str(error) or "it ended"}

    def _start(self) -> subprocess.Popen[str]:
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        variables = os.environ | HUGE_PAGES | ONE_THREAD | {"PYTHONPATH": path}
        (WORK / "logs").mkdir(parents=True, exist_ok=True)
        with (WORK / "logs" / f"{self.name}.log").open("w") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self._folder, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=log, text=True,
            )  # fmt: skip
        self._answer(self._process, LOAD_SECONDS)
        return self._process

    def _answer(self, process: subprocess.Popen[str], seconds: float) -> dict[str, Any]:
        """The next line that it prints. Raises EOFError and TimeoutError."""
        assert process.stdout
        if not select.select([process.stdout], [], [], seconds)[0]:
            raise TimeoutError(f"not done after {seconds:.0f} seconds")
        if not (line := process.stdout.readline()):
            raise EOFError(f"ended with code {process.wait()}: see {WORK / 'logs' / self.name}.log")
        figures: dict[str, Any] = json.loads(line)
        return figures

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def ready(chosen: Sequence[Contender]) -> Iterator[tuple[Contender, Worker]]:
    """A worker of each that can be measured here."""
    for contender in chosen:
        try:
            yield contender, Worker(contender.name, contender.command(), contender.folder)
        except (PeerMissing, subprocess.CalledProcessError) as error:
            print(f"{contender.name} is left out: {error}", file=sys.stderr)


def served() -> dict[str, str]:
    """Which of ours the app is on this processor, for each case, with as many rows as the case has."""
    names = {False: ours(8).name, True: ours(8, rows=16).name}
    made = open_bundle(bundle(8))
    shared = {rows: OnnxEngine(made, threads=1, rows=rows).shares_passes for rows in ROWS}
    return {str(case): names[shared[case.rows]] for case in CASES}


def described(contender: Contender) -> dict[str, Any]:
    return {
        "files_mb": megabytes(contender.files()),
        "step_mb": {
            str(case): round((weight_bytes(contender) + contender.cache_bytes(case)) / 1e6, 1)
            for case in CASES
            if case.kind == "write"
        },
        "peak_mb": None,
        "cases": {},
    }


def run_round(
    number: int, workers: Sequence[tuple[Contender, Worker]], cases: Sequence[Case], programs: dict[str, Any]
) -> None:
    """Measure every case of every program once, and add it to `programs`. Slow ones have the first round alone."""
    for case in cases:
        for contender, worker in workers:
            if not contender.takes(case) or (contender.slow and number):
                continue
            figures, entry = worker.measure(case), programs[contender.name]
            # A failure has its place too: figures of the same round are compared.
            entry["cases"].setdefault(str(case), []).append(
                round(figures["tokens_per_s"], 1) if "failed" not in figures else None
            )
            if "failed" in figures:
                entry.setdefault("failed", {})[str(case)] = figures["failed"]
            elif entry["peak_mb"] is None:
                entry["peak_mb"] = round(figures["peak_mb"])
            shown = figures.get("failed") or f"{figures['tokens_per_s']:.1f} tokens/s"
            print(f"{case!s:<14} {contender.name:<20} {shown}", file=sys.stderr, flush=True)


def run(chosen: Sequence[Contender], cases: Sequence[Case], rounds: int, out: Path) -> None:
    results: dict[str, Any] = {
        "benchmark": "speed",
        "machine": machine(),
        "rounds": [],
        "served": served(),
        "programs": {},
    }
    workers = list(ready(chosen))
    memory = Worker("memory", module("memory"))
    results["programs"] = {contender.name: described(contender) for contender, _ in workers}
    with contextlib.ExitStack() as stack:
        for worker in (memory, *(worker for _, worker in workers)):
            stack.callback(worker.stop)
        for number in range(rounds):
            began, load = time.time(), os.getloadavg()[0]
            read = memory.measure(CASES[0])
            run_round(number, workers, cases, results["programs"])
            results["rounds"].append(
                {
                    "at": time.strftime("%H:%M", time.gmtime(began)),
                    "load": [round(load, 1), round(os.getloadavg()[0], 1)],
                    "gb_per_s": round(read["gb_per_s"], 1),
                }
            )
            out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
            print(f"round {number + 1} of {rounds}: {time.time() - began:.0f} s, in {out}", file=sys.stderr, flush=True)


def chosen_by(patterns: Sequence[str], names: Sequence[str]) -> list[str]:
    """The names that match a pattern. Exits where one matches nothing."""
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in names):
            sys.exit(f"error: {pattern} matches none of {', '.join(names)}.")
    return [name for name in names if any(fnmatch(name, pattern) for pattern in patterns)]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed", description="Measure writing and reading on one core."
    )
    parser.add_argument("--programs", nargs="+", default=["*"], metavar="PATTERN", help="such as '8 bits*' or 'llama*'")
    parser.add_argument(
        "--cases", nargs="+", default=["*"], metavar="PATTERN", help="such as 'write-900x*' or 'read-512'"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--out", type=Path, default=RESULTS / "speed.json")
    asked = parser.parse_args(arguments)
    everybody = {contender.name: contender for contender in contenders()}
    names = chosen_by(asked.programs, list(everybody))
    cases = chosen_by(asked.cases, [str(case) for case in CASES])
    run([everybody[name] for name in names], [Case.parse(case) for case in cases], asked.rounds, asked.out)


if __name__ == "__main__":
    main()
