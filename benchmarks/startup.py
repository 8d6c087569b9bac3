"""How long from the start of the process to the first answer, how much memory, and does it grow?

`python -m benchmarks.startup` starts `python -m app` with a bundle of 124M's shape in 8 bits, pinned to one core, and asks for
one token as soon as the port opens; this version and the one before in turn, ten times each. Then one server answers 5,000 short
requests. `python -m benchmarks.startup STARTS REQUESTS` takes other numbers.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.contenders import earlier_bundle, earlier_code
from benchmarks.speed_figures import megabytes
from benchmarks.subject import CORE, HUGE_PAGES, bundle, processor_seconds, report, resident

STARTS = 10
REQUESTS = 5000
HTTP_TIMEOUT = 120


@contextlib.contextmanager
def server(folder: Path, code: Path | None = None, **settings: str) -> Iterator[tuple[int, int, float]]:
    """Start the app, or that of an earlier version's `code`, with these settings.

    Yields its process id, its port, and the seconds until its first one-token answer.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    variables = os.environ | HUGE_PAGES | {"MODEL": str(folder), "PORT": str(port)} | settings
    command = ["taskset", "-c", str(CORE), sys.executable, "-m", "app"]
    began = time.perf_counter()
    with subprocess.Popen(
        command, cwd=code, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as child:
        try:
            while child.poll() is None:
                with contextlib.suppress(ConnectionRefusedError):
                    ask(port, "/?length=1")
                    break
                time.sleep(0.002)
            else:
                raise RuntimeError(f"the app ended with code {child.returncode}")
            yield child.pid, port, time.perf_counter() - began
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait()


def ask(port: int, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HTTP_TIMEOUT)
    connection.request("GET", path)
    reply = connection.getresponse()
    body = reply.read()
    if reply.status != http.HTTPStatus.OK:
        raise RuntimeError(body.decode())
    connection.close()


def first_answers(starts: int) -> dict[str, list[tuple[float, float, float]]]:
    """Seconds, seconds of the processor and megabytes until the first answer, of each version in turn.

    The very first start of each does not count: it brings the files into memory.
    """
    versions: dict[str, tuple[Path, Path | None, dict[str, str]]] = {
        "now": (bundle(8), None, {}),
        "before": (earlier_bundle(8), earlier_code(), {}),
        "8 rows": (bundle(8), None, {"CONCURRENCY": "8"}),
    }
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in versions}
    for _ in range(starts + 1):
        for name, (folder, code, settings) in versions.items():
            with server(folder, code, **settings) as (pid, _, first):
                found[name].append((first, processor_seconds(pid), resident(pid, "VmHWM")))
    return {name: each[1:] for name, each in found.items()}


def long_peaks() -> dict[str, int]:
    """Peak megabytes after a prompt of 720 tokens and 200 written after it, with one row and with eight at once."""
    found = {}
    for rows in (1, 8):
        with server(bundle(8), CONCURRENCY=str(rows)) as (pid, port, _):
            ask(port, f"/?length=200&prefix={'long+prompt+' * 60}&nsamples={rows}")
            found[f"peak after a prompt of 720 tokens and {rows} of 200 new ones, MB"] = round(resident(pid, "VmHWM"))
    return found


def growth(requests: int) -> dict[str, float]:
    """Megabytes before and after many short requests to one server."""
    with server(bundle(8)) as (pid, port, _):
        for seed in range(100):
            ask(port, f"/?length=8&prefix=a+short+prompt&seed={seed}")
        before, own, began = resident(pid), resident(pid, "RssAnon"), time.perf_counter()
        for seed in range(requests):
            ask(port, f"/?length=2&prefix=a+short+prompt&seed={seed}")
        rate, after = requests / (time.perf_counter() - began), resident(pid)
        own = resident(pid, "RssAnon") - own
    return {
        f"resident before {requests} requests, MB": round(before, 1),
        f"resident after {requests} requests, MB": round(after, 1),
        "growth, MB": round(after - before, 1),
        "growth without pages of files, such as rows of the embedding, MB": round(own, 1),
        "two-token requests a second": round(rate, 1),
    }


def main(starts: int = STARTS, requests: int = REQUESTS) -> None:
    load = os.getloadavg()[0]
    answers = first_answers(starts)
    rows: dict[str, object] = {"load": round(load, 1)}
    for name, each in answers.items():
        seconds, processor, peaks = zip(*each, strict=True)
        rows[f"start to first answer, {name}, s"] = round(statistics.median(seconds), 3)
        rows[f"start to first answer, {name}, least and most"] = [round(min(seconds), 3), round(max(seconds), 3)]
        rows[f"the same in time of the processor, {name}, s"] = round(statistics.median(processor), 2)
        rows[f"peak after the first answer, {name}, MB"] = round(statistics.median(peaks))
    for figure, title in enumerate(("start", "start, time of the processor")):
        ratios = [a[figure] / b[figure] for a, b in zip(answers["now"], answers["before"], strict=True)]
        rows[f"{title}, now / before, median of the pairs"] = round(statistics.median(ratios), 2)
    rows["files, MB"] = {"now": megabytes(bundle(8)), "before": megabytes(earlier_bundle(8))}
    report("startup", rows | long_peaks() | (growth(requests) if requests else {}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
