"""How fast is a month of Reddit searched and cleaned, and in how much memory?

`python -m benchmarks.fetching` writes 1 GB of comments in the format of Reddit's dumps and searches them for one subreddit,
as plain lines and compressed, then for conversations. It also cleans 300 MB of comments with every filter on. Each
measurement has its own process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import zstandard

from benchmarks.subject import CHECKPOINT, bundle, report

BYTES = 1_000_000_000
CLEANED = 300_000_000
SUBREDDITS = ["AmItheAsshole", *(f"subreddit{number}" for number in range(50))]
COMMON = [
    "the",
    "a",
    "to",
    "and",
    "i",
    "of",
    "it",
    "you",
    "is",
    "that",
    "in",
    "my",
    "for",
    "was",
    "this",
    "on",
    "but",
    "not",
    "with",
    "have",
]
BATCH = 10_000


def write_comments(file: TextIO, size: int, columns: Collection[str] = ()) -> int:
    """Write comments of 3 to 60 words, half of them common words. Most answer a recent comment. Returns their number."""
    random = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlu"))
    rare = ["".join(random.choice(letters, n)) for n in random.integers(3, 10, 20_000)]
    words = [word for pair in zip(COMMON * 1000, rare, strict=True) for word in pair]
    count = written = 0
    while written < size:
        lengths = random.integers(3, 61, BATCH)
        chosen = iter(random.integers(0, len(words), int(lengths.sum())).tolist())
        for length in lengths.tolist():
            body = " ".join(words[next(chosen)] for _ in range(length))
            row = comment(count, body)
            written += file.write(json.dumps({name: row[name] for name in columns or row}) + "\n")
            count += 1
    return count


def comment(number: int, body: str) -> dict[str, Any]:
    """A comment with all columns of a dump, also those that no query reads. Threads have 500 comments, chains up to five."""
    subreddit = SUBREDDITS[number // 500 % len(SUBREDDITS)]
    above = f"t3_{number // 500:x}" if number % 5 == 0 else f"t1_{number - 1:x}"
    return {
        "archived": False, "author": f"user{number % 5000}", "author_flair_text": None, "body": body, "controversiality": 0,
        "created_utc": 1564617600 + number // 2, "distinguished": None, "edited": False, "gilded": 0, "id": f"{number:x}",
        "link_id": f"t3_{number // 500:x}", "parent_id": above, "permalink": f"/r/{subreddit}/comments/{number:x}/",
        "retrieved_on": 1567296000, "score": number % 30 - 2, "stickied": False, "subreddit": subreddit,
    }  # fmt: skip


def run(*command: str) -> tuple[float, float]:
    """Run `python …`. Returns its seconds and its peak resident memory in MB."""
    began = time.perf_counter()
    child = subprocess.Popen([sys.executable, *command], stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
    return time.perf_counter() - began, used.ru_maxrss / 1000


def search(query: str, source: Path, *options: str) -> dict[str, Any]:
    out = source.with_name(f"{query}.jsonl")
    given = ["--source", str(source), "--out", str(out), "--vocabulary", str(CHECKPOINT), *options]
    seconds, peak = run("-m", "finetune", "fetch", query, *given)
    made = json.loads(out.with_name(f"{out.name}.manifest.json").read_text())
    size = BYTES / 1e6
    return {"MB/s": round(size / seconds), "peak MB": round(peak), "rows": made["rows"], "kept": made["kept"]}


def clean(folder: Path) -> None:
    """Clean rows of the shape that `subreddit_comments` returns. Prints MB of text a second, and the share that was kept."""
    from finetune.fetch.corpus import clean
    from finetune.fetch.guardrails import GuardrailOptions
    from finetune.fetch.journal import Journal

    journal = Journal(folder / "cleaned.jsonl", {})
    (folder / "rows.jsonl").rename(journal.rows)
    with journal.rows.open("rb") as file:
        text = sum(len(json.loads(line)["body"]) for line in file)
    began = time.perf_counter()
    options = GuardrailOptions(vocabulary=CHECKPOINT)
    made = clean(journal, options, ["author", "score", "body"], "1GB", folder / "cleaned.jsonl")
    seconds = time.perf_counter() - began
    rates = {"MB of text/s": round(text / 1e6 / seconds, 1), "MB of rows/s": round(CLEANED / 1e6 / seconds, 1)}
    print(json.dumps(rates | {"rows": made.read, "kept": made.kept}))


def main() -> None:
    bundle(8)  # Makes the checkpoint too, with a vocabulary of GPT-2's size.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines, packed = folder / "RC_2019-08.jsonl", folder / "RC_2019-09.zst"
        with lines.open("w", encoding="utf-8") as file:
            count = write_comments(file, BYTES)
        rows: dict[str, Any] = {"megabytes": BYTES // 10**6, "comments": count}
        asked = ["--param", "pattern=(?i)the"]
        rows["lines"] = search("subreddit_comments", lines, *asked)
        rows["conversations"] = search("conversations", lines, "--param", "subreddit=AmItheAsshole", "last=2019_12")
        with lines.open("rb") as source, packed.open("wb") as target:
            zstandard.ZstdCompressor(level=1).copy_stream(source, target)
        lines.unlink()
        rows["zst"] = search("subreddit_comments", packed, *asked)
        packed.unlink()
        with (folder / "rows.jsonl").open("w", encoding="utf-8") as file:
            write_comments(file, CLEANED, columns=("id", "author", "score", "body"))
        command = [sys.executable, "-m", "benchmarks.fetching", str(folder)]
        printed = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
        rows["cleaning"] = json.loads(printed.splitlines()[-1])
    report("fetching", rows)


if __name__ == "__main__":
    clean(Path(sys.argv[1])) if len(sys.argv) > 1 else main()
