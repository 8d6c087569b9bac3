"""`gpt2 deploy` where something stands in the way: one sentence that says what to do, and no traceback."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from app.errors import MachineError
from finetune.__main__ import main
from finetune.deployment import live_service, performed_steps
from finetune.deployment.gcloud import read_json, reply_to
from finetune.deployment.gcloud_errors import explain
from tests.conftest import ROOT
from tests.fakes.bot_api import TOKEN, Fault
from tests.fakes.gcloud.fake_project import NEW_PROJECT, FakeGcloud
from tests.fakes.telegram import Telegram

REFUSALS = yaml.safe_load((Path(__file__).parent / "refusals.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", REFUSALS)
def test_each_refusal_is_one_sentence(name: str) -> None:
    printed, sentence = REFUSALS[name]["printed"], REFUSALS[name]["sentence"]
    explained = explain(printed, ("gcloud", "run", "deploy", "gpt-2", "--project", "my-project"))
    assert sentence in explained
    assert "\n" not in explained


def refused(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["deploy", *options]) == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_without_gcloud_it_says_where_to_get_it(
    cloud: FakeGcloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install it from https://cloud.google.com/sdk/docs/install" in refused(capsys, "--yes")
    assert "gcloud is not installed" in refused(capsys, "--delete")


def test_without_a_login_a_project_or_billing(cloud: FakeGcloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.change_project(billing=False)
    assert "the project my-project has no billing account" in refused(capsys, "--yes")
    cloud.change(config={}, projects={"a-1": NEW_PROJECT, "b-2": NEW_PROJECT})
    assert refused(capsys, "--yes").endswith("or run `gcloud config set project NAME`: a-1, b-2.")
    cloud.change(projects={})
    assert "make one with `gcloud projects create NAME`" in refused(capsys, "--yes")
    assert "the project c-3 does not exist" in refused(capsys, "--project", "c-3", "--yes")
    cloud.change(projects={"d-4": NEW_PROJECT | {"lifecycle": "DELETE_REQUESTED"}})
    assert "the project d-4 is being deleted" in refused(capsys, "--yes"), "the only one is taken"
    cloud.change(account=None)
    assert "gcloud is not logged in" in refused(capsys, "--project", "d-4", "--yes")
    assert not cloud.changes()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--service", "My_Jokes"], "--service is 'My_Jokes', and should be small letters"),
        (["--project", ""], "--project is '', and should be a project's ID"),
        (["--region", "Mars East"], "--region is 'Mars East', and should be one such as us-central1"),
        (["--delete-votes"], "add --delete"),
        (["--delete", "--votes"], "--votes is for making it"),
        (["jokes", "--delete"], "MODEL is for making it"),
        (["nowhere"], "'nowhere' is no bundle here: `gpt2 list` shows"),
        (["--telegram", "-"], "--telegram is no bot's token"),
        ([], "nobody is here to agree to this plan: add --yes"),
    ],
)
def test_options_that_cannot_be_meant(
    cloud: FakeGcloud,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    said: str,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert said in refused(capsys, *options)
    assert not cloud.changes()


def test_votes_need_bq(cloud: FakeGcloud, capsys: pytest.CaptureFixture[str]) -> None:
    (cloud.folder / "bin/bq").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(cloud.folder / "bin"))
        assert refused(capsys, "--votes", "--yes") == "error: bq is not installed: run `gcloud components install bq`."
    assert not cloud.changes()


def test_a_gcloud_that_hangs_or_prints_something_else(cloud: FakeGcloud, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.change(hang="version", hang_seconds=3)
    with pytest.raises(MachineError, match=r"`gcloud version` did not end in 0 s: check the network."):
        reply_to(("gcloud", "version"), seconds=0.3)
    with pytest.raises(MachineError, match="which is not JSON: run `gcloud components update`"):
        read_json("{'version': 1}")
    assert read_json("WARNING: [core/project] is old\n{}\n[done]\n") == {}
    with pytest.raises(MachineError, match="which is not JSON"):
        read_json("Hello [world]")
    assert read_json("") == {}


@pytest.mark.parametrize(
    "answer",
    [
        "true",
        "echo '[]'",
        "echo null",
        "echo '{\"core\": null}'",
        'echo \'{"core": {"project": "my-project"}}\'',
        "echo '[null]'",
    ],
)
def test_answers_that_lack_what_is_read_from_them(
    cloud: FakeGcloud, capsys: pytest.CaptureFixture[str], answer: str
) -> None:
    """An empty answer with exit code 0 ended in a traceback."""
    program = cloud.folder / "bin/gcloud"
    program.write_text(f"#!/bin/sh\necho 'WARNING: a new version' >&2\n{answer}\n", encoding="utf-8")
    for options in (["--yes"], ["--delete", "--yes"], ["--project", "my-project", "--yes"]):
        said = refused(capsys, *options)
        assert re.search("not understood|not JSON|there is no project to deploy to|has no billing account", said)


@pytest.mark.parametrize(
    ("end", "said"), [("exit 127", "failed"), ("kill -9 $$", "it said nothing"), ("exit 1", "failed")]
)
def test_a_gcloud_that_dies(cloud: FakeGcloud, capsys: pytest.CaptureFixture[str], end: str, said: str) -> None:
    (cloud.folder / "bin/gcloud").write_text(f"#!/bin/sh\n{end}\n", encoding="utf-8")
    assert said in refused(capsys, "--yes")


def test_a_checkpoint_is_exported_first(cloud: FakeGcloud, capsys: pytest.CaptureFixture[str]) -> None:
    Path("models/DEFAULT").unlink()
    Path("checkpoint/run1").mkdir(parents=True)
    for name in ("checkpoint", "model-1.index"):
        (Path("checkpoint/run1") / name).touch()
    assert "run `gpt2 export checkpoint/run1 models/run1` first" in refused(capsys)


def test_a_build_that_failed_is_said_with_its_log(cloud: FakeGcloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.fail("run deploy", REFUSALS["build"]["printed"])
    assert "its log says why: https://console.cloud.google.com/cloud-build/" in refused(capsys, "--yes")
    cloud.change(faults={})
    cloud.forget()
    assert main(["deploy", "--yes"]) == 0, "it goes on from there"
    assert [change.split()[:3] for change in cloud.changes()] == [["gcloud", "run", "deploy"]]


def test_new_roles_are_waited_for(cloud: FakeGcloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """A role counts some minutes after it was given."""
    monkeypatch.setattr(performed_steps, "PAUSE", 0.01)
    cloud.fail("run deploy", "Permission denied on secret: x for Revision service account y.", times=2)
    assert main(["deploy", "--yes"]) == 0
    assert len([words for words in cloud.transcript() if words[1:3] == ["run", "deploy"]]) == 3


def test_a_service_that_does_not_answer(
    cloud: FakeGcloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(live_service, "PAUSE", 0.01)
    monkeypatch.setattr(live_service, "PATIENCE", 0.1)
    cloud.change(url="http://127.0.0.1:9")
    assert "http://127.0.0.1:9 is deployed and does not work yet" in refused(capsys, "--yes")


@pytest.mark.parametrize(
    ("hang", "number", "code", "said"),
    [
        ("projects describe", signal.SIGINT, 130, "interrupted; nothing was left half-written."),
        (
            "run deploy",
            signal.SIGTERM,
            143,
            "the role roles/run.builder. A build that has begun goes on in Google Cloud.",
        ),
        ("run services describe", signal.SIGINT, 130, "interrupted. The service gpt-2 is there."),
    ],
)
def test_what_stops_it_is_heard_at_once_and_says_what_is_there(
    cloud: FakeGcloud, hang: str, number: signal.Signals, code: int, said: str
) -> None:
    """Questions that are asked at the same time were waited for, and a folder stayed; after TERM, nothing was said."""
    cloud.change(hang=hang)
    variables = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(cloud.folder.parent)}
    command = [sys.executable, "-m", "finetune", "deploy", "--yes"]
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        for _ in range(600):
            if any(" ".join(words).startswith(f"gcloud {hang}") for words in cloud.transcript()):
                break
            time.sleep(0.05)
        child.send_signal(number)
        _, printed = child.communicate(timeout=30)
    assert child.returncode == code
    assert said in printed
    assert "Traceback" not in printed
    assert not list(cloud.folder.parent.glob("gpt2-deploy-*"))


def test_a_webhook_that_is_refused_is_told_with_the_address(
    deployed: FakeGcloud, telegram: Telegram, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence was Telegram's alone, as if nothing had been deployed."""
    telegram.webhook = {}
    telegram.fault = lambda method: Fault(status=400) if method == "setWebhook" else None
    said = refused(capsys, "--telegram", TOKEN, "--yes")
    assert said.startswith(
        f"error: {deployed.state['url']} is deployed, and its bot is not connected to it yet. Telegram: "
    )
    assert TOKEN not in said


def test_json_is_the_only_thing_on_standard_output(cloud: FakeGcloud, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deploy", "--dry-run", "--telegram", TOKEN, "--region", "us-west2", "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert "us-west2 is 40 % dearer" in said.err
    assert 'app.bot set-webhook "$URL"' in said.err
    assert found["cost"]["image_month"] == 0
    assert [step["words"][:3] for step in found["steps"]][-1] == ["gcloud", "run", "deploy"]
    assert not cloud.changes()
