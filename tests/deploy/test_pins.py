"""Actions are pinned by commit and images by digest, and the workflow may only read."""

from __future__ import annotations

import re
from typing import Any

from tests.conftest import ROOT
from tests.deploy.definitions import load

WORKFLOW = ".github/workflows/ci.yaml"
STEPS: dict[str, dict[str, Any]] = {step["id"]: step for step in load("cloudbuild.yaml")["steps"]}


def test_actions_are_pinned_by_commit() -> None:
    steps = [step for job in load(WORKFLOW)["jobs"].values() for step in job["steps"]]
    uses = [step["uses"] for step in steps if "uses" in step]
    assert uses
    for action in uses:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), f"{action} is not pinned by its commit"
    lines = re.findall(r"uses: .*", (ROOT / WORKFLOW).read_text(encoding="utf-8"))
    assert len({line.split("@")[0] for line in lines}) == len(set(lines)), "one action, one commit"
    assert all(re.search(r" # v\d+\.\d+\.\d+$", line) for line in lines), "a comment says which release"


def test_other_peoples_images_are_pinned_by_digest_and_the_same_everywhere() -> None:
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in (WORKFLOW, "cloudbuild.yaml")]
    found = [set(re.findall(r"docker\.io/\S+", text)) for text in texts]
    for image in found[0] | found[1]:
        assert re.fullmatch(r"docker\.io/[\w/-]+:[\w.-]+@sha256:[0-9a-f]{64}", image)
    assert found[0] <= found[1], "what CI scans with is what the build scans with"
    for step in STEPS.values():
        assert step["name"].startswith(("gcr.io/cloud-builders/", "gcr.io/google.com/", "docker.io/"))


def test_the_workflow_may_only_read_and_runs_what_everybody_runs() -> None:
    workflow = load(WORKFLOW)
    assert workflow["permissions"] == {"contents": "read"}
    commands = {step.get("run") for job in workflow["jobs"].values() for step in job["steps"]}
    assert {".ci/run", "make image"} <= commands
    assert any("pip-audit" in (command or "") for command in commands)
    targets = re.findall(r"make ([\w./]+)", " ".join(filter(None, commands)))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in targets:
        assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE) or target.startswith(".venv/")
