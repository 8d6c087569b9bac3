"""How fast is text prepared, and in how much memory?

`python -m benchmarks.preparing` writes 100 MB of short comments, some of them duplicates or near duplicates, and prepares
them in a separate process.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.subject import report, write_vocabulary

BYTES = 100_000_000


def write_comments(path: Path, size: int) -> int:
    """Write JSON Lines of 2 to 40 made-up words; one in fifty repeats an earlier one. Returns their number."""
    random = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlu"))
    words = ["".join(random.choice(letters, n)) for n in random.integers(2, 9, 20_000)]
    count, written, recent = 0, 0, ["first"]
    with path.open("w", encoding="utf-8") as file:
        while written < size:
            said = " ".join(words[i] for i in (random.zipf(1.2, random.integers(2, 41)) % len(words)))
            said = recent[random.integers(len(recent))] if random.random() < 0.02 else said
            recent[count % 1000 : count % 1000 + 1] = [said]
            written += file.write(json.dumps({"body": said}) + "\n")
            count += 1
    return count


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        text, out = Path(folder) / "comments.jsonl", Path(folder) / "data"
        count = write_comments(text, BYTES)
        vocabulary = Path(folder) / "vocabulary"
        write_vocabulary(vocabulary)
        command = ["prepare", str(text), "--out", str(out), "--vocabulary", str(vocabulary)]
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "finetune", *command], check=True)
        seconds = time.perf_counter() - began
        dropped = json.loads((out / "description.json").read_text())["dropped"]
    rows = {
        "megabytes": BYTES // 10**6,
        "documents": count,
        "dropped": dropped,
        "MB/s": round(BYTES / 1e6 / seconds, 2),
        "peak MB": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000),
    }
    report("preparing", rows)


if __name__ == "__main__":
    main()
