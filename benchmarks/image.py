"""Does the image run as Cloud Run runs it, and in how little memory?

`python -m benchmarks.image IMAGE [BUNDLE [MEMORY]]` (`make image-check`) starts the image with one processor, 512 MiB, a
read-only file system and an unknown user. It sends a thousand requests and then stops the container. BUNDLE is a folder to
serve instead of the one in the image. It needs docker or podman.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.subject import report

REQUESTS = 1000
LENGTHS = (1, 8, 32)
PATIENCE = 60.0


@cache
def program(image: str) -> str:
    """Docker or podman, whichever has the image."""
    for name in filter(shutil.which, ("docker", "podman")):
        if not subprocess.run([name, "image", "inspect", image], capture_output=True, check=False).returncode:
            return name
    sys.exit(f"error: neither docker nor podman has an image {image}: run `make image`.")


def call(image: str, *command: str) -> str:
    ended = subprocess.run([program(image), *command], capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.exit(f"error: {ended.stderr.strip()}")
    return ended.stdout.strip()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def ask(port: int, query: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/?{query}", timeout=PATIENCE) as reply:
        return json.load(reply)


def await_answer(port: int) -> float:
    """The time of the first answer, in seconds since the epoch."""
    began = time.time()
    while time.time() - began < PATIENCE:
        try:
            ask(port, "length=1")
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.01)
        else:
            return time.time()
    sys.exit("error: the container did not answer.")


def started(image: str, name: str) -> float:
    """The start of the container's process. What came before, mostly unpacking the image, does not count."""
    said = call(image, "inspect", "--format", "{{json .State.StartedAt}}", name).strip('"')
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", said)).timestamp()


def measure(image: str, bundle: str | None, memory: str) -> dict[str, Any]:
    port, name = free_port(), f"image-check-{time.time_ns()}"
    limits = ["--memory", memory, "--memory-swap", memory, "--cpus", "1", "--read-only", "--user", "31337:31337"]
    model = ["--volume", f"{Path(bundle).resolve()}:/model:ro"] if bundle else []
    call(image, "run", "--detach", "--name", name, "--network", "host", *limits, *model, "--env", f"PORT={port}", image)
    try:
        seconds = await_answer(port) - started(image, name)
        asked = time.perf_counter()
        tokens = sum(
            ask(port, f"length={LENGTHS[number % 3]}&prefix=Why")["usage"]["completion_tokens"]
            for number in range(REQUESTS)
        )
        speed = tokens / (time.perf_counter() - asked)
        process = call(image, "inspect", "--format", "{{.State.Pid}}", name)
        peak = Path(f"/proc/{process}/status").read_text().split("VmHWM:")[1].split()[0]
        began = time.perf_counter()
        call(image, "stop", "--time", "10", name)
        stopped = time.perf_counter() - began
        state = json.loads(call(image, "inspect", "--format", "{{json .State}}", name))
    finally:
        call(image, "rm", "--force", name)
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
    size = int(call(image, "image", "inspect", "--format", "{{.Size}}", image)) / 1e6
    name = f"image-{Path(bundle).name}" if bundle else "image"
    report(name, {"image MB": round(size)} | measure(image, bundle, memory))


if __name__ == "__main__":
    main(*sys.argv[1:])
