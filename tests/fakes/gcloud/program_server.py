"""Where the fake programs run: in a thread of the tests. What lies on the PATH is a few lines of bash that pass everything on.

An interpreter for each of the 400 commands that the tests of `deploy` give would be most of their time.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
import socketserver
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from tests.fakes.gcloud.cloud_commands import COMMANDS, Failed
from tests.fakes.gcloud.command_lines import CommandLine, UsageError, parse

LOCAL = {"gcloud config list", "gcloud config set", "gcloud auth login", "gcloud version"}
LOCK = threading.RLock()
"""Held while the state is read or changed: a command whose process was ended may still be running here."""
# Each part ends with a zero byte. Standard input is passed on only where the real program would read it.
PROGRAM = r"""#!/bin/bash
exec 3<> /dev/tcp/127.0.0.1/{port} || exit 125
stdin=
case " $* " in *" --data-file - "*) IFS= read -r -d '' stdin ;; esac
printf '%s\0' $(($# + 4)) {folder} "$PWD" "$stdin" {name} "$@" >&3
IFS= read -r -d '' -u 3 code && IFS= read -r -d '' -u 3 errors && IFS= read -r -d '' -u 3 output || exit 125
printf %s "$errors" >&2
printf %s "$output"
exit "$code"
"""


class Ended(NamedTuple):
    """A command line that ran to its end."""

    code: int
    errors: str = ""
    output: str = ""


class ProgramHandler(socketserver.StreamRequestHandler):
    """Runs the command line of one process."""

    def handle(self) -> None:
        parts: list[str] = []
        content = b""
        while not parts or len(parts) <= int(parts[0]):
            received = self.request.recv(65536)
            if not received:  # The process was ended.
                return
            content += received
            *whole, content = content.split(b"\0")
            parts += [part.decode() for part in whole]
        _, folder, working, stdin, *words = parts
        ended = run(words, Path(folder), Path(working), stdin)
        with contextlib.suppress(OSError):
            self.wfile.write("\0".join([str(ended.code), ended.errors, ended.output, ""]).encode())


@functools.cache
def port() -> int:
    """Where this process's server listens, which lives as long as the process."""
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), ProgramHandler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_address[1])


def run(words: list[str], folder: Path, working: Path, stdin: str) -> Ended:
    """Write the transcript, refuse what the real program refuses, and change the state in `folder`."""
    with LOCK:
        with (folder / "transcript.jsonl").open("a", encoding="utf-8") as transcript:
            transcript.write(f"{json.dumps(words)}\n")
        path = folder / "state.json"
        state = json.loads(path.read_text(encoding="utf-8"))
        try:
            line = parse(words)._replace(stdin=stdin, folder=working, progress=[])
            refuse(line, state)
            answer = COMMANDS[line.command](line, state)
        except UsageError as error:
            return Ended(2, f"ERROR: ({'.'.join(words[:3])}) {error}\n")
        except Failed as error:
            said = f"ERROR: ({line.command.replace(' ', '.')}) {error}\n"
            return Ended(1, "".join([*line.progress, said]))
        finally:
            path.write_text(json.dumps(state), encoding="utf-8")
    if line.command.endswith(state.get("hang", "nothing hangs")):
        time.sleep(state.get("hang_seconds", 60))
    return Ended(0, "".join(line.progress), shown(answer, line.flags.get("--format", "")))


def refuse(line: CommandLine, state: dict[str, Any]) -> None:
    """Raises Failed for faults that a test has ordered, and where nobody is logged in."""
    fault = state.get("faults", {}).get(line.command.partition(" ")[2])
    if fault and fault["times"]:
        fault["times"] -= 1
        raise Failed(fault["said"])
    if not state["account"] and line.command not in LOCAL:
        raise Failed("You do not currently have an active account selected.\nPlease run:\n\n  $ gcloud auth login\n")


def shown(answer: Any, kind: str) -> str:
    """The answer as --format says."""
    if isinstance(answer, str):
        return answer
    if kind == "json":
        return json.dumps(answer)
    if found := re.fullmatch(r"value\(([\w.]+)\)", kind):
        for name in found[1].split("."):
            answer = answer[name]
        return f"{answer}\n"
    return ""
