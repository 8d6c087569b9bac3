"""How do many clients fare at once: how long to the first word, how long between words, and what does a million tokens cost?

`python -m benchmarks.load` starts `python -m app` with a bundle of 124M's shape in 8 bits, pinned to one core: with
CONCURRENCY=1, with CONCURRENCY=8, and the version before. 1 to 16 clients on the other cores send one request after the other
over `/v1/completions`, streamed, each with a prompt of 8 to 200 tokens and 20 to 90 new ones, the same in every run. The servers
take turns. What arrived within the window counts; the first second of each does not.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import random
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from app.engine.bundle import open_bundle
from app.engine.tokenizer import Tokenizer
from benchmarks.contenders import earlier_bundle, earlier_code
from benchmarks.startup import server
from benchmarks.subject import CORE, RESULTS, bundle, machine, processor_seconds
from finetune.deployment.monthly_cost import CPU_SECOND, GIB_SECOND

CLIENTS = (1, 2, 4, 8, 16)
SECONDS, WARM = 10.0, 1.0
ROUNDS = 2
PROMPT, WRITTEN = (8, 200), (20, 90)
GIB = 0.5
# Random weights write random bytes, which are not characters. Every text repeats this word, one token, so that each is seen.
WORD = "ab"


@dataclass
class Window:
    """What clients saw, in seconds since the epoch of `time.perf_counter`."""

    asked: list[tuple[float, float]] = field(default_factory=list)
    """When a request was sent, and when its first token was there."""
    tokens: list[list[float]] = field(default_factory=list)
    """When each token was there, by request."""
    failures: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)


def prompt(length: int, chance: random.Random) -> str:
    """Pairs of a letter, each of which is a token of the random model's vocabulary."""
    return "".join(chr(97 + letter) * 2 for letter in chance.choices(range(2, 26), k=length))


def talk(port: int, word: int, chance: random.Random, window: Window) -> None:
    """One client: a request after the other until the window ends."""
    while not window.ended.is_set():
        request = {
            "prompt": prompt(chance.randint(*PROMPT), chance),
            "max_tokens": chance.randint(*WRITTEN),
            "stream": True,
            "logit_bias": {str(word): 100},
        }
        try:
            stream(port, request, window)
        except (OSError, http.client.HTTPException, ValueError) as error:
            window.failures.append(f"{type(error).__name__}: {error}")
            return


def stream(port: int, request: dict[str, Any], window: Window) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        sent = time.perf_counter()
        connection.request("POST", "/v1/completions", json.dumps(request).encode())
        reply = connection.getresponse()
        if reply.status != http.HTTPStatus.OK:
            raise ValueError(reply.read().decode()[:200])
        times: list[float] = []
        window.tokens.append(times)
        for line in reply:
            if window.ended.is_set():
                return
            if line.startswith(b"data: {"):
                now, text = time.perf_counter(), json.loads(line[6:])["choices"][0]["text"]
                if text and not times:
                    window.asked.append((sent, now))
                times.extend([now] * (len(text) // len(WORD)))


def measure(pid: int, port: int, word: int, clients: int, seconds: float) -> dict[str, Any]:
    """The figures of one window of a server."""
    window = Window()
    threads = [
        threading.Thread(target=talk, args=(port, word, random.Random(number), window)) for number in range(clients)
    ]
    for thread in threads:
        thread.start()
    time.sleep(WARM)
    began, processor = time.perf_counter(), processor_seconds(pid)
    time.sleep(seconds)
    ended, processor = time.perf_counter(), processor_seconds(pid) - processor
    window.ended.set()
    for thread in threads:
        thread.join()
    if window.failures:
        return {"failed": window.failures[0]}
    return figures(window, began, ended, processor)


def figures(window: Window, began: float, ended: float, processor: float) -> dict[str, Any]:
    """`processor`: the seconds that the server had of the processor. Where others had some of it, it is the fairer measure."""
    counted = [[moment for moment in times if began <= moment < ended] for times in window.tokens]
    count = sum(map(len, counted))
    gaps = [1e3 * (after - before) for times in counted for before, after in pairwise(times)]
    firsts = [1e3 * (first - sent) for sent, first in window.asked if began <= first < ended]
    return {
        "tokens_per_s": round(count / (ended - began), 1),
        "tokens_per_processor_s": round(count / processor, 1) if processor else None,
        "dollars_per_million": round(dollars(count / processor), 3) if count and processor else None,
        "first_ms": percentiles(firsts),
        "gap_ms": percentiles(gaps),
    }


def dollars(tokens_per_s: float) -> float:
    """Of a million tokens, on one processor and half a gibibyte of Cloud Run that are always busy."""
    return 1e6 * (CPU_SECOND + GIB * GIB_SECOND) / tokens_per_s


def percentiles(values: Sequence[float]) -> dict[str, float] | None:
    """The median and the 99th percentile."""
    if not values:
        return None
    ordered = sorted(values)
    return {
        "p50": round(statistics.median(ordered), 1),
        "p99": round(ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))], 1),
    }


@contextlib.contextmanager
def servers() -> Iterator[dict[str, tuple[int, int]]]:
    """The process and the port of each version. Those that do not have their turn are idle."""
    kinds: dict[str, tuple[Path, Path | None, int]] = {
        "before": (earlier_bundle(8), earlier_code(), 1),
        "one row": (bundle(8), None, 1),
        "8 rows": (bundle(8), None, 8),
    }
    with contextlib.ExitStack() as stack:
        found = {}
        for name, (folder, code, rows) in kinds.items():
            settings = {"CONCURRENCY": str(rows), "QUEUE_LIMIT": "64"}
            found[name] = stack.enter_context(server(folder, code, **settings))[:2]
        yield found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description="Measure many clients at once.")
    parser.add_argument("--clients", type=int, nargs="+", default=CLIENTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--out", type=Path, default=RESULTS / "load.json")
    asked = parser.parse_args(arguments)
    # The clients are not to take time from the server.
    os.sched_setaffinity(0, set(range(os.cpu_count() or 1)) - {CORE} or {CORE})
    (word,) = Tokenizer.from_file(open_bundle(bundle(8)).tokenizer).encode(WORD)
    found: dict[str, Any] = {"benchmark": "load", "machine": machine(), "load": [], "servers": {}}
    with servers() as started:
        for _ in range(asked.rounds):
            found["load"].append(round(os.getloadavg()[0], 1))
            for clients in asked.clients:
                for name, process in started.items():
                    figures = measure(*process, word, clients, asked.seconds)
                    found["servers"].setdefault(name, {}).setdefault(str(clients), []).append(figures)
                    print(f"{clients:>2} clients, {name:<8} {json.dumps(figures)}", flush=True)
            asked.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
