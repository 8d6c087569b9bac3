"""`python -m app.bot poll` as a process, which Ctrl+C ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping

from tests.conftest import ROOT
from tests.fakes.telegram import Telegram


def poll(telegram: Telegram, variables: Mapping[str, str]) -> str:
    """Answer what people wrote, and return what was printed. Nothing may be printed as an error."""
    child_variables = os.environ | variables | {"TELEGRAM_API_URL": telegram.url, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "app.bot", "poll"]
    with subprocess.Popen(
        command, env=child_variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        telegram.settle()
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=20)
    assert (child.returncode, err) == (130, "")
    return out
