"""A verb in a process of its own: what it prints is shown as it is printed, and an interrupt lets it save."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from app.errors import MachineError
from finetune.notebook.cell_output import CellOutput

Show = Callable[[str, bool], None]
"""Shows a line. The flag says that the next line replaces it, as the next state of a progress bar does."""
CURSOR_MOVES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
BAR = "%|"
"""Is in every progress bar. A bar ends with a line end where another is drawn below it."""
INTERRUPT_CODE = 130
INTERRUPTED = "Interrupting: wait for the save."


def run_verb(verb: str, *arguments: str | Path) -> None:
    """`gpt2 VERB ARGUMENTS`. Raises MachineError if it fails or is interrupted, so that a notebook does not go on."""
    code = follow([sys.executable, "-m", "finetune", verb, *map(str, arguments)], CellOutput().show)
    if code == INTERRUPT_CODE:
        raise MachineError("Interrupted. To go on, run this cell again; or use what is saved in the cells below.")
    if code:
        raise MachineError(f"`{verb}` did not finish: the last line above says why.")


def follow(command: list[str], show: Show) -> int:
    """Run a command, show what it prints line by line, and return its exit code. Ctrl-C goes to the command as SIGINT.

    The command gets a session of its own. Jupyter interrupts the whole process group of a kernel: the command would get the
    signal twice, and end without a save.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", "TQDM_MININTERVAL": "1"},
        start_new_session=True,
    )
    assert process.stdout is not None
    with io.TextIOWrapper(process.stdout, encoding="utf-8", errors="replace", newline="") as lines:
        try:
            return follow_to_end(process, lines, show)
        finally:
            if process.poll() is None:  # Something here failed: nobody would see what it prints.
                process.terminate()
                process.wait()


def follow_to_end(process: subprocess.Popen[bytes], lines: io.TextIOWrapper, show: Show) -> int:
    while True:
        try:
            for line in lines:
                show(CURSOR_MOVES.sub("", line).rstrip(), line.endswith("\r") or BAR in line)
            return process.wait()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            show(INTERRUPTED, False)
