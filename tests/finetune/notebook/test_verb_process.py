"""A command in a process of its own: its lines come as they are printed, and an interrupt reaches it once."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from app.errors import MachineError
from finetune.notebook.verb_process import INTERRUPTED, follow, run_verb


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


def test_bars_are_told_from_lines() -> None:
    shown: list[tuple[str, bool]] = []
    script = r"""
import sys
print("one\n10 %\r\x1b[A20 %\r  \rtrain: 50%|##  | 1/2\nwrite: 0%|    | 0/3\x1b[A\rtwo ü")
print("three", file=sys.stderr)
sys.exit(3)"""
    assert follow(python(script), lambda *line: shown.append(line)) == 3
    assert shown == [
        ("one", False),
        ("10 %", True),
        ("20 %", True),
        ("", True),
        ("train: 50%|##  | 1/2", True),
        ("write: 0%|    | 0/3", True),
        ("two ü", False),
        ("three", False),
    ]


SAVES_WHEN_INTERRUPTED = r"""
import signal, sys, time, os
def save(*_):
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # A second one ends it, as `train` does.
    print("saved", flush=True)
    time.sleep(0.2)
    sys.exit(130)
signal.signal(signal.SIGINT, save)
print("ready", flush=True)
time.sleep(60)
"""


def test_an_interrupt_reaches_the_command_once() -> None:
    """Jupyter interrupts the kernel's whole process group. A command in it got two signals, and ended without a save."""
    shown: list[str] = []

    def show(line: str, replaced: bool) -> None:
        shown.append(line)
        if line == "ready":
            os.kill(os.getpid(), signal.SIGINT)

    assert follow(python(f"import os\nprint(os.getpgrp()){SAVES_WHEN_INTERRUPTED}"), show) == 130
    group, *rest = shown
    assert int(group) != os.getpgrp()
    assert rest == ["ready", INTERRUPTED, "saved"]


def test_a_command_does_not_outlive_what_shows_it(tmp_path: Path) -> None:
    def show(line: str, replaced: bool) -> None:
        raise ValueError(line)

    script = f"""
import signal, sys, time
def end(*_):
    open({str(tmp_path / "ended")!r}, "w").close()
    sys.exit()
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
time.sleep(60)
"""
    with pytest.raises(ValueError, match="ready"):
        follow(python(script), show)
    assert (tmp_path / "ended").exists()


def test_a_verb_that_fails_stops_the_notebook(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A shell's `!` goes on after a failure, so that *Run all* would train on nothing."""
    with pytest.raises(MachineError, match="`prepare` did not finish") as failed:
        run_verb("prepare", tmp_path / "absent.csv", "--vocabulary", tmp_path, "--out", tmp_path / "data")
    assert "absent.csv" in capsys.readouterr().out
    assert failed.value._render_traceback_() == [str(failed.value)]
