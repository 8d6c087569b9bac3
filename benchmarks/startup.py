"""How long from the start of the process to the first answer, how much memory, and does it grow?

`python -m benchmarks.startup` starts `python -m app` with a bundle of 124M's shape in 8 bits, pinned to one core, and asks for
one token as soon as the port opens. It reports the median of ten starts. Then one server answers 5,000 short requests.
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

from benchmarks.subject import CORE, HUGE_PAGES, bundle, report, resident

STARTS = 10
REQUESTS = 5000


@contextlib.contextmanager
def server(folder: Path) -> Iterator[tuple[int, int, float]]:
    """Start the app. Yields its process id, its port, and the seconds until its first one-token answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    variables = os.environ | HUGE_PAGES | {"MODEL": str(folder), "PORT": str(port)}
    command = ["taskset", "-c", str(CORE), sys.executable, "-m", "app"]
    began = time.perf_counter()
    with subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        try:
            while True:
                with contextlib.suppress(ConnectionRefusedError):
                    ask(port, "/?length=1")
                    break
                time.sleep(0.005)
            yield child.pid, port, time.perf_counter() - began
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait()


def ask(port: int, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    reply = connection.getresponse()
    body = reply.read()
    if reply.status != http.HTTPStatus.OK:
        raise RuntimeError(body.decode())
    connection.close()


def main() -> None:
    folder = bundle(8)
    seconds, peaks = [], []
    for _ in range(STARTS + 1):
        with server(folder) as (pid, _, first):
            seconds.append(first)
            peaks.append(resident(pid, "VmHWM"))
    with server(folder) as (pid, port, _):
        for seed in range(100):
            ask(port, f"/?length=8&prefix=a+short+prompt&seed={seed}")
        before = resident(pid)
        began = time.perf_counter()
        for seed in range(REQUESTS):
            ask(port, f"/?length=2&prefix=a+short+prompt&seed={seed}")
        rate = REQUESTS / (time.perf_counter() - began)
        after = resident(pid)
        ask(port, f"/?length=300&prefix={'long+prompt+' * 60}")
        ask(port, "/?length=150&nsamples=8")
        full = resident(pid, "VmHWM")
    report(
        "startup",
        {
            "start to first answer, s, median": round(statistics.median(seconds[1:]), 3),
            "start to first answer, s, least and most": [round(min(seconds[1:]), 3), round(max(seconds[1:]), 3)],
            "peak after the first answer, MB": round(statistics.median(peaks[1:])),
            f"resident before {REQUESTS} requests, MB": round(before, 1),
            f"resident after {REQUESTS} requests, MB": round(after, 1),
            "growth, MB": round(after - before, 1),
            "two-token requests a second": round(rate, 1),
            "peak after a 720-token prompt and 8 texts at once, MB": round(full),
        },
    )


if __name__ == "__main__":
    main()
