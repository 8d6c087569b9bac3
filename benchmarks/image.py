"""Does the image run as Cloud Run runs it, and in how little?

`python -m benchmarks.image IMAGE [BUNDLE [MEMORY]]` (`make image-check`): starts the image with one processor and 512 MiB, its
file system read-only, as a user nobody knows; asks it a thousand times; tells it to stop. BUNDLE is a folder to serve
instead of the one inside. Needs docker or podman.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks.subject import report

REQUESTS = 1000
LENGTHS = (1, 8, 32)
PATIENCE = 60.0


def program() -> str:
    found = shutil.which("docker") or shutil.which("podman")
    if found is None:
        sys.exit("error: neither docker nor podman is here to run the image with.")
    return found


def call(*command: str) -> str:
    return subprocess.run([program(), *command], capture_output=True, text=True, check=True).stdout.strip()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def ask(port: int, query: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/?{query}", timeout=PATIENCE) as reply:
        return json.load(reply)


def first_answer(port: int, began: float) -> float:
    """Seconds from the start until a request is answered."""
    while time.perf_counter() - began < PATIENCE:
        try:
            ask(port, "length=1")
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.01)
        else:
            return time.perf_counter() - began
    sys.exit("error: the container did not answer.")


def measure(image: str, bundle: str | None, memory: str) -> dict[str, Any]:
    port, name = free_port(), f"image-check-{time.time_ns()}"
    limits = ["--memory", memory, "--memory-swap", memory, "--cpus", "1", "--read-only", "--user", "31337:31337"]
    model = ["--volume", f"{Path(bundle).resolve()}:/model:ro"] if bundle else []
    began = time.perf_counter()
    call("run", "--detach", "--name", name, "--network", "host", *limits, *model, "--env", f"PORT={port}", image)
    try:
        seconds = first_answer(port, began)
        asked = time.perf_counter()
        tokens = sum(
            ask(port, f"length={LENGTHS[number % 3]}&prefix=Why")["usage"]["completion_tokens"]
            for number in range(REQUESTS)
        )
        speed = tokens / (time.perf_counter() - asked)
        process = call("inspect", "--format", "{{.State.Pid}}", name)
        peak = Path(f"/proc/{process}/status").read_text().split("VmHWM:")[1].split()[0]
        began = time.perf_counter()
        call("stop", "--time", "10", name)
        stopped = time.perf_counter() - began
        state = json.loads(call("inspect", "--format", "{{json .State}}", name))
    finally:
        call("rm", "--force", name)
    return {
        "memory limit": memory,
        "start to first answer, s": round(seconds, 2),
        "requests answered": REQUESTS,
        "tokens/s over them": round(speed),
        "peak MB": round(int(peak) / 1000),
        "killed for memory": state.get("OOMKilled", False),
        "seconds to stop": round(stopped, 2),
        "exit code": state["ExitCode"],
    }


def main(image: str, bundle: str | None = None, memory: str = "512m") -> None:
    size = int(call("image", "inspect", "--format", "{{.Size}}", image)) / 1e6
    name = f"image-{Path(bundle).name}" if bundle else "image"
    report(name, {"image MB": round(size)} | measure(image, bundle, memory))


if __name__ == "__main__":
    main(*sys.argv[1:])
