"""A run goes on when nobody reads what it prints any more."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

CODE = """
import sys
from finetune.training.closed_output import output_may_close

with output_may_close():
    for number in range(20_000):
        print(number)
        print(number, file=sys.stderr, flush=True)
    print("ended", file=open(sys.argv[1], "w"))
print("more")
"""


def test_a_pipe_that_closes_ends_nothing(tmp_path: Path) -> None:
    """`train 2>&1 | head` ended with a BrokenPipeError, and nothing was saved."""
    mark = tmp_path / "mark"
    with subprocess.Popen(
        [sys.executable, "-c", CODE, str(mark)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as child:
        assert child.stdout
        assert child.stdout.readline()
        child.stdout.close()
        assert child.wait(timeout=60) == 0
    assert mark.read_text(encoding="utf-8") == "ended\n"
