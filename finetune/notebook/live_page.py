"""The live page of `watch` in a frame of the notebook, served by a process of its own, since the kernel is busy training."""

from __future__ import annotations

import atexit
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TextIO

from IPython.display import IFrame, display

from app.errors import MachineError

HEIGHT = 900
PORT = re.compile(r"http://[\w.]+:(\d+)/")
SERVERS: dict[Path, subprocess.Popen[bytes]] = {}
"""The processes by their runs, so that a cell that is run again does not start a second one."""


def show_live_page(run: Path, height: int = HEIGHT) -> None:
    """Show the page of a run, which may not have begun. Raises MachineError if it cannot be served."""
    stop(run)
    run.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "finetune", "watch", str(run), "--port", "0"]
    # What it prints goes to a file: nobody reads a pipe later, and a full one would stop the page.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        SERVERS[run] = server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
        )
        atexit.register(stop, run)
        show_port(announced_port(server, said), height)


def announced_port(server: subprocess.Popen[bytes], said: TextIO) -> int:
    """The port that the server names once it listens. Raises MachineError if it ends instead."""
    while True:
        ended = server.poll() is not None
        said.seek(0)
        text = said.read()
        if found := PORT.search(text):
            return int(found[1])
        if ended:
            raise MachineError(
                f"the live page could not be shown ({text.strip() or 'it says nothing'}): go on without it."
            )
        time.sleep(0.05)


def show_port(port: int, height: int) -> None:
    """Show what this machine serves. In Colab, the browser reaches it through Google."""
    try:
        from google.colab import output
    except ImportError:
        display(IFrame(f"http://localhost:{port}/", "100%", height))
    else:
        output.serve_kernel_port_as_iframe(port, height=str(height))


def stop(run: Path) -> None:
    """End the process that shows a run, if there is one."""
    if (server := SERVERS.pop(run, None)) is None:
        return
    server.terminate()
    server.wait()
