"""The service as a visitor sees it: a real request with patience, and the address as a QR code for a phone."""

from __future__ import annotations

import io
import json
import shutil
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import NamedTuple

from app.errors import MachineError
from finetune.network_errors import network_problem

PREFIX = "Why"
PATIENCE = 120.0
"""Seconds. A new address takes a moment until all of Google's servers know it."""
PAUSE = 2.0
LARGEST = 2**20
"""Bytes of an answer that are read."""
LATER = {404, 429, 500, 502, 503, 504}


class FirstAnswer(NamedTuple):
    """`text` is None if the service asks for a key."""

    model: str
    text: str | None


def first_answer(url: str, service: str, region: str) -> FirstAnswer:
    """Ask until the service answers. Raises MachineError."""
    ends = time.monotonic() + PATIENCE
    while True:
        try:
            return answer_of(url)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 401:
                return FirstAnswer("", None)
            if error.code == 403:
                raise MachineError(
                    f"{url} is deployed and asks visitors to log in to Google: run `gcloud run services update {service} "
                    f"--region {region} --no-invoker-iam-check`, or ask your organisation's administrator why it may not be."
                ) from None
            problem, passing = f"it answers with status {error.code}", error.code in LATER
        except (OSError, ValueError, HTTPException) as error:
            problem, passing = network_problem(error) or str(error), True
        if not passing or time.monotonic() > ends:
            raise MachineError(
                f"{url} is deployed and does not work yet ({problem}): open it in a minute, or read its log."
            )
        time.sleep(PAUSE)


def answer_of(url: str) -> FirstAnswer:
    """Raises OSError, or ValueError for what is no answer of the app's."""
    request = urllib.request.Request(f"{url}/?prefix={PREFIX}&length=30", headers={"Accept": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310  # gcloud names the address.
        said = json.loads(reply.read(LARGEST))
    if not isinstance(said, dict) or not isinstance(said.get("text"), str):
        raise ValueError("what it answers is no text")
    return FirstAnswer(str(said.get("model", "")), said["text"])


def qr_code(url: str) -> str:
    """For a terminal, two modules a line. Empty where the terminal is too narrow for it."""
    import segno

    drawn = io.StringIO()
    segno.make(url, error="l", micro=False).terminal(drawn, border=2, compact=True)
    lines = drawn.getvalue().splitlines()
    fits = len(lines[0]) <= shutil.get_terminal_size((80, 24)).columns
    return "\n".join(lines) if fits else ""
