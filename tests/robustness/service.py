"""The app as a process of its own, which the tests attack from another core, and of another version where `CODE` names one."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx

from tests.conftest import ROOT, await_health, end, free_port

STARTER = ROOT / "models" / "starter"
CODE = Path(os.environ.get("CODE", ROOT))
"""Where the code that is attacked lies: this version's, or a clone of an earlier one, for figures of before."""


@dataclass(frozen=True)
class Service:
    """`url` without a slash at its end; `log` is a file of all that the process prints."""

    process: subprocess.Popen[str]
    url: str
    port: int
    log: Path

    def get(self, path: str = "/health", timeout: float = 60) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=timeout)

    def connect(self, timeout: float = 60) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def resident(self) -> float:
        """Resident memory in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(status.split("VmRSS:")[1].split()[0]) / 1000

    def open_files(self) -> int:
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())


@contextlib.contextmanager
def started(core: int | None = None, **settings: str) -> Iterator[Service]:
    """Start `python -m app` with these settings, with models/starter where no MODEL is named. Yields it once it answers.

    With `core`, on that core alone.
    """
    port = free_port()
    variables = os.environ | {"MODEL": str(STARTER), "PORT": str(port), "PYTHONPATH": str(CODE)} | settings
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with (
            log.open("w", encoding="utf-8") as printed,
            begun([*pinned, sys.executable, "-m", "app"], variables, printed) as child,
        ):
            address = f"http://127.0.0.1:{port}"
            await_health(child, address)
            yield Service(child, address, port, log)


@contextlib.contextmanager
def begun(command: list[str], variables: dict[str, str], printed: IO[str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, cwd=CODE, env=variables, stdout=printed, stderr=printed, text=True) as child:
        try:
            yield child
        finally:
            end(child)
