"""What is measured, and on what: a model of 124M's shape with random weights, and this machine.

Speed and memory do not depend on the values of the weights, so nothing has to be downloaded. The vocabulary has GPT-2's
size: 256 bytes, 50,000 merges of two of them, and the end of text.
"""

from __future__ import annotations

import itertools
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from app.engine.bundle import Hparams
from app.engine.tokenizer import END_OF_TEXT, byte_characters

WORK = Path(__file__).parent / "work"
# Environments and code of other programs: not where this project's own tools look for its modules.
PEERS = Path(os.environ.get("PEERS", Path(__file__).parent.parent / ".venv" / "peers"))
RESULTS = Path(__file__).parent / "results"
SHAPE = Hparams(n_vocab=50257, n_ctx=1024, n_embd=768, n_head=12, n_layer=12)
CHECKPOINT = WORK / "checkpoint" / "random-124M"
CORE = max(os.sched_getaffinity(0))
"""What is measured runs on the last core; the kernel's own work is mostly on the first."""
# As in the container: memory pages of 2 MB, where the kernel gives them on request. Both sides get them.
HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


def bundle(bits: int, code: Path | None = None) -> Path:
    """The random model as a bundle. `export` makes it at the first use: this project's, or that of `code`, an earlier version."""
    if not (CHECKPOINT / "checkpoint").exists():
        from finetune.checkpoint import initial_weights, write_checkpoint

        write_vocabulary(CHECKPOINT)
        write_checkpoint(CHECKPOINT, SHAPE, initial_weights(SHAPE), vocabulary=CHECKPOINT)
    out = WORK / (f"{code.name}-{bits}" if code else f"random-124M-{bits}")
    if not (out / "manifest.json").exists():
        command = ["-m", "finetune", "export", "--checkpoint", str(CHECKPOINT), "--out", str(out), "--bits", str(bits)]
        subprocess.run([sys.executable, *command], cwd=code, check=True)
    return out


def write_vocabulary(folder: Path) -> None:
    alphabet = byte_characters()
    merges = list(itertools.islice(itertools.product(alphabet, alphabet), 50_000))
    tokens = [*alphabet, *("".join(pair) for pair in merges), END_OF_TEXT]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "encoder.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges), ""]
    (folder / "vocab.bpe").write_text("\n".join(lines), encoding="utf-8")


def on_one_core(*command: str, **environ: str) -> dict[str, Any]:
    """Run `python …` pinned to one core. Returns the JSON of its last line."""
    pinned = ["taskset", "-c", str(CORE), sys.executable, *command]
    variables = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | HUGE_PAGES | environ
    printed = subprocess.run(
        pinned, env=variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
    )
    result: dict[str, Any] = json.loads(printed.stdout.splitlines()[-1])
    return result


def resident(pid: int | str = "self", field: str = "VmRSS") -> float:
    """Resident memory of a process in MB: VmRSS now, VmHWM at its peak."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) / 1000


def processor_seconds(pid: int) -> float:
    """Time that a process has had of the processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bandwidth() -> float:
    """GB/s that one core reads from memory: the best of ten passes over 1 GB."""
    data = np.ones(2**27, np.int64)
    seconds = []
    for _ in range(10):
        began = time.process_time()
        data.max()
        seconds.append(time.process_time() - began)
    return data.nbytes / 1e9 / min(seconds)


def machine() -> dict[str, Any]:
    cpu = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    command = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout if shutil.which("git") else ""
    flags = Path("/proc/cpuinfo").read_text()
    return {
        "cpu": cpu.split(":")[1].strip(),
        "cores": os.cpu_count(),
        "instructions": [name for name in ("avx2", "avx512f", "avx512_vnni", "amx_int8") if name in flags],
        "python": platform.python_version(),
        "commit": commit.strip(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def report(name: str, rows: dict[str, Any]) -> None:
    """Print the figures as a table and as one line of JSON, and write the JSON into results/."""
    for key, value in rows.items():
        print(f"{key:<44} {value}")
    line = json.dumps({"benchmark": name, "machine": machine()} | rows)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(line + "\n")
    print(line)
