"""Runs one command line of the fake gcloud or bq: writes the transcript, refuses what the real one refuses, changes the state."""

from __future__ import annotations

import fcntl
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

from tests.fakes.gcloud.cloud_commands import COMMANDS, Failed
from tests.fakes.gcloud.command_lines import CommandLine, UsageError, parse

FOLDER = Path(os.environ["FAKE_GCLOUD"])
LOCAL = {"gcloud config list", "gcloud config set", "gcloud auth login", "gcloud version"}


def main(words: list[str]) -> int:
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with (FOLDER / "transcript.jsonl").open("a", encoding="utf-8") as transcript:
            transcript.write(f"{json.dumps(words)}\n")
        path = FOLDER / "state.json"
        state = json.loads(path.read_text(encoding="utf-8"))
        try:
            line = parse(words)
            refuse(line, state)
            answer = COMMANDS[line.command](line, state)
        except UsageError as error:
            return failed(f"ERROR: ({'.'.join(words[:3])}) {error}", 2)
        except Failed as error:
            return failed(f"ERROR: ({line.command.replace(' ', '.')}) {error}", 1)
        finally:
            path.write_text(json.dumps(state), encoding="utf-8")
    if line.command.endswith(state.get("hang", "nothing hangs")):
        time.sleep(state.get("hang_seconds", 60))
    if isinstance(answer, str):
        sys.stdout.write(answer)
    elif line.flags.get("--format") == "json":
        json.dump(answer, sys.stdout)
    elif path_of_value := re.fullmatch(r"value\(([\w.]+)\)", line.flags.get("--format", "")):
        for name in path_of_value[1].split("."):
            answer = answer[name]
        sys.stdout.write(f"{answer}\n")
    return 0


def failed(said: str, code: int) -> int:
    sys.stderr.write(f"{said}\n")
    return code


def refuse(line: CommandLine, state: dict[str, Any]) -> None:
    """Raises Failed for faults that a test has ordered, and where nobody is logged in."""
    fault = state.get("faults", {}).get(line.command.partition(" ")[2])
    if fault and fault["times"]:
        fault["times"] -= 1
        raise Failed(fault["said"])
    if not state["account"] and line.command not in LOCAL:
        raise Failed("You do not currently have an active account selected.\nPlease run:\n\n  $ gcloud auth login\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
