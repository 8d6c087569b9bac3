"""`gpt2 doctor`: a line for each thing, the command that mends it, and an exit code for scripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finetune.__main__ import main
from finetune.diagnosis.finding import Finding
from finetune.diagnosis.local_findings import (
    GIB,
    cores_found,
    disk_found,
    gpu_found,
    memory_found,
    model_found,
    packages_found,
)
from finetune.notebook.gpu_settings import Gpu
from tests.fakes.gcloud.fake_project import FakeGcloud, install
from tests.finetune.deployment.conftest import write_bundle

L4 = Gpu("NVIDIA L4", 8.9, 23034)


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGcloud:
    home = tmp_path / "home"
    home.mkdir()
    write_bundle(home / "models" / "starter")
    monkeypatch.chdir(home)
    return install(tmp_path / "cloud", monkeypatch)


def findings(capsys: pytest.CaptureFixture[str]) -> dict[str, Finding]:
    code: int | str | None = 0
    try:
        assert main(["doctor", "--json"]) == 0
    except SystemExit as ended:
        code = ended.code
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert document["broken"] == (code == 1)
    return {found["name"]: Finding(**found) for found in document["findings"]}


def test_all_is_well(cloud: FakeGcloud, capsys: pytest.CaptureFixture[str]) -> None:
    found = findings(capsys)
    local = ["Python", "gpt2", "cores", "memory", "disk", "GPU", "serving", "training", "model"]
    assert list(found) == [*local, "gcloud", "login", "project", "billing", "APIs"]
    assert found["model"].said == "starter in models/starter, 8 bits, 7.0 MB"
    assert found["gcloud"].said == "528.0.0"
    assert found["login"].said == "ann@example.com"
    assert found["project"].said == "my-project, region us-central1"
    assert found["APIs"].said == "run, cloudbuild, artifactregistry are switched on by `gpt2 deploy`"
    assert not cloud.changes()


def test_a_line_has_its_mark_and_what_mends_it(cloud: FakeGcloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.change(account=None)
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "✓ gcloud           528.0.0\n" in said
    assert "! login            nobody is logged in\n                   → gcloud auth login\n" in said


def test_what_google_cloud_lacks_is_a_note(cloud: FakeGcloud, capsys: pytest.CaptureFixture[str]) -> None:
    """Serving and training need none of it."""
    cloud.change_project(billing=False)
    assert findings(capsys)["billing"].mend.startswith("link one at https://console.cloud.google.com/billing/")
    cloud.fail("billing projects describe", "PERMISSION_DENIED: The caller does not have permission")
    cloud.fail("services list", "PERMISSION_DENIED: The caller does not have permission")
    cloud.fail("version", "it is broken")
    found = findings(capsys)
    assert found["billing"].said == "this account may not ask"
    assert found["APIs"].said.startswith("this account may not do this in my-project")
    assert found["gcloud"].state == "note"
    cloud.change(config={"project": "gone"}, faults={})
    assert "the project gone does not exist" in findings(capsys)["login"].mend
    cloud.change(config={})
    assert findings(capsys)["project"].mend.startswith("gcloud config set project NAME")
    cloud.fail("config list", "gcloud crashed (ServerNotFoundError): Unable to find the server at x.googleapis.com")
    assert "Google cannot be reached" in findings(capsys)["login"].said


@pytest.mark.parametrize("answer", ["[]", "[null]", "null", "Hello", '{"core": []}'])
def test_answers_that_are_not_understood(cloud: FakeGcloud, capsys: pytest.CaptureFixture[str], answer: str) -> None:
    """A list where an object is due ended in a traceback."""
    (cloud.folder / "bin/gcloud").write_text(f"#!/bin/sh\necho '{answer}'\n", encoding="utf-8")
    assert "note" in {finding.state for name, finding in findings(capsys).items() if name in ("gcloud", "login")}


def test_all_apis_are_on(cloud: FakeGcloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.change_project(apis=[f"{name}.googleapis.com" for name in ("run", "cloudbuild", "artifactregistry")])
    assert findings(capsys)["APIs"].said == "run, cloudbuild, artifactregistry"


def test_without_gcloud(cloud: FakeGcloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    found = findings(capsys)
    assert found["gcloud"] == Finding(
        "gcloud", "note", "not installed; `gpt2 deploy` needs it", "https://cloud.google.com/sdk/docs/install"
    )
    assert "login" not in found


def test_a_damaged_model_is_broken(cloud: FakeGcloud, capsys: pytest.CaptureFixture[str]) -> None:
    with Path("models/starter/model.onnx.data").open("r+b") as weights:
        weights.truncate(1000)
    assert findings(capsys)["model"].state == "broken"
    Path("models/DEFAULT").write_text("songs\n", encoding="utf-8")
    assert "there is no bundle in models/songs" in model_found().said


def test_a_checkpoint_is_to_be_exported(cloud: FakeGcloud) -> None:
    Path("checkpoint/run1").mkdir(parents=True)
    Path("checkpoint/run1/model-1.index").touch()
    assert model_found().mend == "gpt2 export checkpoint/run1 models/run1"


@pytest.mark.parametrize(
    ("found", "state", "said"),
    [
        (cores_found(2, 64), "fine", "2 of 64"),
        (memory_found(None, None), "note", "this system does not say"),
        (memory_found(GIB // 4, GIB), "broken", "0.2 GB free of 1.0; serving a 124M needs 0.4"),
        (memory_found(2 * GIB, 4 * GIB), "note", "2.0 GB free of 4.0; training a 124M needs 5.3"),
        (memory_found(9 * GIB, 16 * GIB), "fine", "9.0 GB free of 16.0"),
        (disk_found(GIB // 4), "broken", "0.2 GB free here"),
        (disk_found(3 * GIB), "note", "3.0 GB free here; the packages for training and a run of the 124M take 7"),
        (gpu_found(None, usable=False), "note", "none: training uses the processor"),
        (gpu_found(L4, usable=False), "note", "NVIDIA L4, 22 GB, and JAX cannot use it"),
        (gpu_found(L4, usable=True), "fine", "NVIDIA L4, 22 GB, used by JAX"),
        (packages_found("serving", ["numpy", "no_such"], needed=True), "broken", "not installed: no_such"),
        (packages_found("training", ["no_such"], needed=False), "note", "not installed: no_such"),
    ],
)
def test_each_state_of_a_machine(found: Finding, state: str, said: str) -> None:
    assert (found.state, found.said) == (state, said)
    assert state == "fine" or found.mend or found.said == "this system does not say"


def test_a_card_that_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert gpu_found(L4, usable=True).mend == "unset CUDA_VISIBLE_DEVICES"
