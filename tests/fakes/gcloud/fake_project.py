"""The fake project, as tests see it: what it has, and what was asked of gcloud and bq."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.gcloud.program_server import LOCK, PROGRAM, port

PERSON = "ann@example.com"
NUMBER = 123456789
ACCOUNT = f"{NUMBER}-compute@developer.gserviceaccount.com"
NEW_PROJECT: dict[str, Any] = {
    "number": NUMBER, "billing": True, "apis": [], "policy": [[PERSON, "roles/owner"]], "services": {}, "repositories": [],
    "images": [], "sources": [], "secrets": {}, "datasets": {},
}  # fmt: skip


@dataclass(frozen=True)
class FakeGcloud:
    """A folder with what the programs know and what was asked of them."""

    folder: Path

    @property
    def state(self) -> dict[str, Any]:
        with LOCK:
            found: dict[str, Any] = json.loads((self.folder / "state.json").read_text(encoding="utf-8"))
        return found

    @property
    def project(self) -> dict[str, Any]:
        found: dict[str, Any] = self.state["projects"]["my-project"]
        return found

    def change(self, **changes: Any) -> None:
        """Change the state's entries, such as `account=None` for nobody logged in."""
        with LOCK:
            (self.folder / "state.json").write_text(json.dumps(self.state | changes), encoding="utf-8")

    def change_project(self, **changes: Any) -> None:
        self.change(projects={"my-project": self.project | changes})

    def transcript(self) -> list[list[str]]:
        """Every command line since the last `forget`, as words."""
        path = self.folder / "transcript.jsonl"
        with LOCK:
            lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    def changes(self) -> list[str]:
        """The command lines that changed something, or tried to."""
        verbs = {"enable", "deploy", "update", "create", "add", "delete", "add-iam-policy-binding", "mk", "query", "rm"}
        return [shlex.join(words) for words in self.transcript() if verbs & set(words[:7])]

    def forget(self) -> None:
        (self.folder / "transcript.jsonl").unlink(missing_ok=True)

    def fail(self, command: str, said: str, times: int = 99) -> None:
        """Let a command such as `run deploy` end with this on standard error."""
        self.change(faults=self.state.get("faults", {}) | {command: {"said": said, "times": times}})


def install(folder: Path, patch: pytest.MonkeyPatch, url: str = "http://127.0.0.1:9") -> FakeGcloud:
    """Put both programs before all others on the PATH. Services that they deploy are at `url`."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    for name in ("gcloud", "bq"):
        program = programs / name
        text = PROGRAM.format(port=port(), folder=shlex.quote(str(folder)), name=name)
        program.write_text(text, encoding="utf-8")
        program.chmod(0o755)
    fake = FakeGcloud(folder)
    state = {
        "account": PERSON,
        "config": {"project": "my-project"},
        "url": url,
        "projects": {"my-project": NEW_PROJECT},
    }
    (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")
    patch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    return fake
