"""The live page of `watch` in a frame of the notebook, served by a process of its own, since the kernel is busy training."""

from __future__ import annotations

import atexit
import re
import subprocess
import sys
from pathlib import Path

from IPython.display import IFrame, display

from app.errors import MachineError

HEIGHT = 900
PORT = re.compile(r"http://[\w.]+:(\d+)/")
SERVERS: dict[Path, subprocess.Popen[str]] = {}
"""The processes by their runs, so that a cell that is run again does not start a second one."""


def show_live_page(run: Path, height: int = HEIGHT) -> None:
    """Show the page of a run, which may not have begun. Raises MachineError if it cannot be served."""
    stop(run)
    run.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "finetune", "watch", str(run), "--port", "0"]
    server = SERVERS[run] = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    atexit.register(stop, run)
    assert server.stdout is not None
    said = server.stdout.readline()
    if (found := PORT.search(said)) is None:
        raise MachineError(f"the live page could not be shown ({said.strip() or 'it says nothing'}): go on without it.")
    show_port(int(found[1]), height)


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
    if server.stdout is not None:
        server.stdout.close()
