"""gcloud: runs Google's command lines, `gcloud` and `bq`, and turns what they refuse into one sentence."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.errors import MachineError
from finetune.deployment.gcloud_errors import INSTALL, INSTALL_PAGE, explain, says_not_found

QUESTION_SECONDS = 90
"""A question that takes longer has no answer: gcloud itself tries for minutes where there is no network."""
JSON_BEGINS = re.compile(r"^[\[{]", re.MULTILINE)
GRACE_SECONDS = 5
ASKED: set[subprocess.Popen[str]] = set()
"""The questions that are running."""
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
    """A command may print notes before its JSON and after it, as bq does at its first use. Raises MachineError."""
    for at in (found.start() for found in JSON_BEGINS.finditer(output)):
        with suppress(json.JSONDecodeError):
            return json.JSONDecoder().raw_decode(output, at)[0]
    if not output.strip():
        return {}
    raise MachineError(f"gcloud printed {output[:80]!r}, which is not JSON: run `gcloud components update`.")


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
        futures = [threads.submit(question) for question in questions]
        try:
            return [future.result() for future in futures]
        except BaseException:  # Ctrl-C too: else the answers that nobody wants would be waited for.
            for child in list(ASKED):
                signal_all(child, signal.SIGTERM)
            raise


def reply_to(words: Sequence[str], seconds: float = QUESTION_SECONDS) -> GcloudReply:
    """Run a command to its end. Raises MachineError if it is not installed or does not end."""
    with start(words, stderr=subprocess.PIPE) as child:
        ASKED.add(child)
        try:
            output, errors = child.communicate("", timeout=seconds)
        except subprocess.TimeoutExpired:
            raise MachineError(f"`{' '.join(words[:3])}` did not end in {seconds:.0f} s: check the network.") from None
        finally:
            ASKED.discard(child)
            stop(child)
    return GcloudReply(child.returncode, output, errors)


def start(words: Sequence[str], stderr: int) -> subprocess.Popen[str]:
    """Raises MachineError if it is not installed, or is no program."""
    try:
        return subprocess.Popen(
            [find_program(words[0]), *words[1:]],
            env=os.environ | ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            encoding="utf-8",
            errors="replace",
            process_group=0,
        )
    except OSError as error:
        raise MachineError(
            f"{words[0]} cannot be started ({error.strerror}): install it from {INSTALL_PAGE}."
        ) from None


def stop(child: subprocess.Popen[str]) -> None:
    """End it, if it runs, even if it does not want to."""
    signal_all(child, signal.SIGTERM)
    try:
        child.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        signal_all(child, signal.SIGKILL)
        child.wait()


def signal_all(child: subprocess.Popen[str], number: signal.Signals) -> None:
    """To the processes that it has started as well: gcloud is a script that starts Python."""
    if child.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, number)


def find_program(name: str) -> str:
    if found := shutil.which(name):
        return found
    if name == "gcloud":
        raise MachineError(INSTALL)
    raise MachineError(f"{name} is not installed: run `gcloud components install {name}`.")


def carry_out(step: Step, show: Callable[[str], None]) -> None:
    """Run a command that changes something; `show` gets each line of its progress. Raises MachineError."""
    child = start(step.words, stderr=subprocess.STDOUT)
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
        stop(child)
        raise
    finally:
        if child.stdout is not None:
            child.stdout.close()
    if code:
        printed = "".join(said)
        raise MachineError(explain(printed.replace(step.stdin, "…") if step.stdin else printed, step.words))
