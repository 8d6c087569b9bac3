"""gcloud: runs Google's command lines, `gcloud` and `bq`, and turns what they refuse into one sentence."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.errors import MachineError
from finetune.deployment.gcloud_errors import INSTALL, explain, says_not_found

QUESTION_SECONDS = 90
"""A question that takes longer has no answer: gcloud itself tries for minutes where there is no network."""
ENVIRONMENT = {"CLOUDSDK_CORE_DISABLE_PROMPTS": "1", "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1"}


@dataclass(frozen=True)
class Step:
    """One command that changes something, with what a person reads about it.

    `stdin` is passed to it and never printed; `piped` is how a shell makes the same.
    """

    does: str
    words: tuple[str, ...]
    made: str = ""
    stdin: str | None = None
    piped: str = ""
    minutes: bool = False


class GcloudReply(NamedTuple):
    code: int
    output: str
    errors: str

    @property
    def said(self) -> str:
        """Everything it printed: gcloud writes what went wrong to the one, bq to the other."""
        return f"{self.errors}\n{self.output}"


def ask(*words: str) -> Any:
    """What a command that changes nothing prints, read as JSON. Raises MachineError."""
    reply = reply_to(words)
    if reply.code:
        raise MachineError(explain(reply.said, words))
    return read_json(reply.output)


def look_up(*words: str) -> Any:
    """The same, or None for what is not there."""
    reply = reply_to(words)
    if reply.code and says_not_found(reply.said):
        return None
    if reply.code:
        raise MachineError(explain(reply.said, words))
    return read_json(reply.output)


def read_json(output: str) -> Any:
    """A command may print a note before its JSON, as bq does at its first use."""
    starts = [at for at in (output.find("{"), output.find("[")) if at >= 0]
    try:
        return json.loads(output[min(starts) :]) if starts else {}
    except json.JSONDecodeError:
        raise MachineError(
            f"gcloud printed {output[:80]!r}, which is not JSON: run `gcloud components update`."
        ) from None


@contextmanager
def understood() -> Iterator[None]:
    """Raises MachineError where an answer lacks what is read from it: an empty one, or one of another shape."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        problem = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise MachineError(
            f"gcloud answered in a form that is not understood ({problem}): run `gcloud components update`."
        ) from error


def together(*questions: Callable[[], Any]) -> list[Any]:
    """The answers to questions that are asked at the same time: gcloud needs a second to start."""
    with ThreadPoolExecutor(len(questions)) as threads:
        return [future.result() for future in [threads.submit(question) for question in questions]]


def reply_to(words: Sequence[str], stdin: str | None = None, seconds: float = QUESTION_SECONDS) -> GcloudReply:
    """Run a command to its end. Raises MachineError if it is not installed or does not end."""
    try:
        ended = subprocess.run(
            [find_program(words[0]), *words[1:]],
            env=os.environ | ENVIRONMENT,
            input=stdin or "",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise MachineError(f"`{' '.join(words[:3])}` did not end in {seconds:.0f} s: check the network.") from None
    return GcloudReply(ended.returncode, ended.stdout, ended.stderr)


def find_program(name: str) -> str:
    if found := shutil.which(name):
        return found
    if name == "gcloud":
        raise MachineError(INSTALL)
    raise MachineError(f"{name} is not installed: run `gcloud components install {name}`.")


def carry_out(step: Step, show: Callable[[str], None]) -> None:
    """Run a command that changes something; `show` gets each line of its progress. Raises MachineError."""
    child = subprocess.Popen(
        [find_program(step.words[0]), *step.words[1:]],
        env=os.environ | ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    said: list[str] = []
    try:
        assert child.stdin is not None
        assert child.stdout is not None
        with child.stdin:
            child.stdin.write(step.stdin or "")
        for line in child.stdout:
            said.append(line)
            show(line.strip())
        code = child.wait()
    except BrokenPipeError:
        code = child.wait()
    except BaseException:
        child.terminate()
        child.wait()
        raise
    finally:
        if child.stdout is not None:
            child.stdout.close()
    if code:
        raise MachineError(explain("".join(said), step.words))
