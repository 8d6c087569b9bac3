"""`gpt2 deploy` against a fake gcloud that keeps a transcript and refuses flags that the real one does not have."""

from __future__ import annotations

import json
from typing import Any

import pytest

from finetune.__main__ import main
from tests.fakes.gcloud import ACCOUNT, FakeGcloud


def deploy(*options: str) -> int:
    return main(["deploy", *options])


def test_a_new_project_gets_what_it_needs_and_the_service_answers(
    cloud: FakeGcloud, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy("--yes") == 0
    said = capsys.readouterr()
    assert cloud.state["url"] in said.out
    assert "answers “Why” with" in said.out
    assert "$0 a month up to about" in said.out
    assert "▄" in said.out or "█" in said.out, "the QR code"
    project = cloud.project
    assert set(project["apis"]) == {f"{name}.googleapis.com" for name in ("run", "cloudbuild", "artifactregistry")}
    assert [f"serviceAccount:{ACCOUNT}", "roles/run.builder"] in project["policy"]
    (service,) = project["services"].values()
    container = service["spec"]["template"]["spec"]["containers"][0]
    assert {entry["name"]: entry["value"] for entry in container["env"]} == {
        "THREADS": "1",
        "GOOGLE_CLOUD_PROJECT": "my-project",
    }
    assert [name for name in project["sources"] if name.startswith("models/") and "/manifest" in name] == [
        "models/jokes/manifest.json"
    ]


def test_a_second_run_changes_nothing(cloud: FakeGcloud, capsys: pytest.CaptureFixture[str]) -> None:
    assert deploy("--yes") == 0
    cloud.forget()
    assert deploy() == 0, "there is nothing to agree to"
    assert not cloud.changes()
    assert cloud.state["url"] in capsys.readouterr().out


def document(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_json_is_all_of_standard_output(cloud: FakeGcloud, capsys: pytest.CaptureFixture[str]) -> None:
    assert deploy("--yes", "--json") == 0
    found = document(capsys)
    assert (found["url"], found["project"], found["region"]) == (cloud.state["url"], "my-project", "us-central1")
    assert found["answer"]
