"""`gpt2 deploy` against a fake gcloud that keeps a transcript and refuses flags that the real one does not have."""

from __future__ import annotations

import io
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from app.engine.default_bundle import deployed_model
from app.errors import MachineError
from finetune.__main__ import main
from finetune.deployment import staged_sources
from finetune.deployment.staged_sources import stage_sources
from tests.conftest import ROOT
from tests.fakes.bot_api import TOKEN
from tests.fakes.gcloud.fake_project import ACCOUNT, FakeGcloud
from tests.fakes.telegram import Telegram
from tests.finetune.deployment.conftest import write_bundle

MEMBER = f"serviceAccount:{ACCOUNT}"


def deploy(*options: str) -> int:
    return main(["deploy", *options])


def variables(cloud: FakeGcloud) -> dict[str, Any]:
    """The service's environment; a secret as NAME:VERSION."""
    (service,) = cloud.project["services"].values()
    entries = service["spec"]["template"]["spec"]["containers"][0]["env"]
    secrets = {entry["name"]: entry["valueFrom"]["secretKeyRef"] for entry in entries if "valueFrom" in entry}
    plain = {entry["name"]: entry["value"] for entry in entries if "value" in entry}
    return plain | {name: f"{secret['name']}:{secret['key']}" for name, secret in secrets.items()}


def test_a_new_project_gets_what_it_needs_and_the_service_answers(
    cloud: FakeGcloud, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy("--yes") == 0
    said = capsys.readouterr().out
    assert "project  my-project, as ann@example.com" in said
    assert "$0 a month up to about 59,000 requests a day" in said
    assert f"{cloud.state['url']}\n" in said
    assert re.search(r"[▄▀█]{5}", said), "the QR code"
    assert "It answers “Why” with:\n\n    Why" in said
    assert set(cloud.project["apis"]) == {
        f"{name}.googleapis.com" for name in ("run", "cloudbuild", "artifactregistry")
    }
    assert [MEMBER, "roles/run.builder"] in cloud.project["policy"]
    assert variables(cloud) == {"THREADS": "1", "GOOGLE_CLOUD_PROJECT": "my-project"}


def test_what_is_sent_has_one_bundle_and_what_the_dockerfile_copies(cloud: FakeGcloud, tmp_path: Path) -> None:
    folder = tmp_path / "staged"
    folder.mkdir()
    stage_sources(Path("models/jokes"), folder)
    sent = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    files = ("manifest.json", "model.onnx", "model.onnx.data", "tokenizer.json")
    assert {name for name in sent if name.startswith("models/")} == {
        "models/DEFAULT",
        *(f"models/jokes/{name}" for name in files),
    }
    assert {"Dockerfile", "LICENSE", "requirements/container.txt", "app/__main__.py"} <= sent
    assert not [name for name in sent if "__pycache__" in name or name.startswith(("tests/", "docs/", "checkpoint/"))]
    assert deployed_model(project=folder) == folder / "models/jokes", "what the build takes"
    dockerfile = (folder / "Dockerfile").read_text(encoding="utf-8")
    for source in re.findall(r"^COPY (?!--from)(\S+)", dockerfile, re.MULTILINE):
        assert (folder / source).exists(), source


def test_an_installed_package_sends_the_same(
    cloud: FakeGcloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no Dockerfile beside its packages, but in gpt2_project."""
    (tmp_path / "site/gpt2_project").mkdir(parents=True)
    for name in ("app", "finetune"):
        (tmp_path / "site" / name).symlink_to(ROOT / name)
    for name in ("Dockerfile", "LICENSE", "requirements"):
        (tmp_path / "site/gpt2_project" / name).symlink_to(ROOT / name)
    for name in ("clone", "installed"):
        (tmp_path / name).mkdir()
    cloned = stage_sources(Path("models/jokes"), tmp_path / "clone")
    monkeypatch.setattr(staged_sources, "PACKAGES", tmp_path / "site")
    monkeypatch.setattr(staged_sources, "INSTALLED", tmp_path / "site/gpt2_project")
    assert stage_sources(Path("models/jokes"), tmp_path / "installed").digest == cloned.digest
    (tmp_path / "site/gpt2_project/LICENSE").unlink()
    (tmp_path / "again").mkdir()
    with pytest.raises(MachineError, match=r"LICENSE is missing: install the package again"):
        stage_sources(Path("models/jokes"), tmp_path / "again")


class Keyboard(io.StringIO):
    """A terminal at which somebody types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("n\n", 1), ("", 1)])
def test_it_asks_once(
    deployed: FakeGcloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str, code: int
) -> None:
    deployed.change_project(services={})
    monkeypatch.setattr("sys.stdin", Keyboard(typed))
    if code:
        with pytest.raises(SystemExit, match="1"):
            deploy()
        assert capsys.readouterr().err.endswith("nothing was changed.\n")
    else:
        assert deploy() == 0
    assert bool(deployed.project["services"]) == (code == 0)


def test_a_terminal_shows_how_long_a_step_takes(deployed: FakeGcloud, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed.change_project(services={})
    deployed.change(hang="run deploy", hang_seconds=0.7)
    screen = Keyboard()
    monkeypatch.setattr("sys.stderr", screen)
    assert deploy("--yes") == 0
    assert re.search(r"\r\x1b\[K… build the image and make the service gpt-2 0:0\d", screen.getvalue())
    assert "✓ build the image and make the service gpt-2 (0:0" in screen.getvalue()


def test_a_second_run_changes_nothing(
    deployed: FakeGcloud, telegram: Telegram, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy("--telegram", TOKEN, "--votes") == 0, "there is nothing to agree to"
    assert not deployed.changes()
    assert not telegram.calls["setWebhook"]
    said = capsys.readouterr().out
    assert deployed.state["url"] in said
    assert "Your bot is @JokerBot: https://t.me/JokerBot" in said
    assert "Votes are kept in bigquery://my-project.ratings" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    "trouble",
    [
        {"last_error_date": 1, "last_error_message": "Wrong response from the webhook: 401"},
        {"allowed_updates": ["message", "callback_query"]},
    ],
)
def test_a_webhook_that_telegram_cannot_deliver_to_is_set_again(
    deployed: FakeGcloud, telegram: Telegram, trouble: dict[str, Any]
) -> None:
    """A run that was stopped after it stored a new secret left Telegram with the old one, for ever.

    One of before hears of no edits and no reactions.
    """
    telegram.webhook |= trouble
    assert deploy("--telegram", TOKEN) == 0
    (secret,) = deployed.project["secrets"]["gpt-2-telegram-secret"]["versions"]
    assert telegram.webhook["secret_token"] == secret


def test_a_new_model_is_built_and_the_owners_own_settings_stay(deployed: FakeGcloud) -> None:
    service = deployed.project["services"]["gpt-2@us-central1"]
    container = service["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [entry for entry in container["env"] if entry["name"] != "THREADS"]
    container["env"] += [{"name": "RATE_LIMIT", "value": "5"}, {"name": "THREADS", "value": "2"}]
    container["resources"]["limits"]["memory"] = "2Gi"
    deployed.change_project(services={"gpt-2@us-central1": service})
    write_bundle(Path("models/songs"))
    assert deploy("songs", "--yes") == 0
    (built,) = deployed.changes()
    assert built.startswith("gcloud run deploy gpt-2 --source ")
    assert not {"--max-instances", "--memory", "--set-env-vars"} & set(shlex.split(built))
    assert (variables(deployed)["RATE_LIMIT"], variables(deployed)["THREADS"]) == ("5", "2")
    assert "TELEGRAM_TOKEN" in variables(deployed)
    assert "models/songs/manifest.json" in deployed.project["sources"]


def test_only_what_differs_is_changed(deployed: FakeGcloud) -> None:
    """Here the service was deployed and lacks its store, its memory and its right to write."""
    project = deployed.project
    container = project["services"]["gpt-2@us-central1"]["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [entry for entry in container["env"] if entry["name"] != "FEEDBACK"]
    container["resources"]["limits"]["memory"] = "256Mi"
    deployed.change_project(**project | {"datasets": {"my-project:ratings": {"location": "EU", "access": []}}})
    assert deploy("--votes", "--yes") == 0
    grant, update = deployed.changes()
    assert grant.startswith("bq --headless")
    assert "GRANT" in grant
    assert update == (
        "gcloud run services update gpt-2 --region us-central1 --project my-project "
        "--update-env-vars FEEDBACK=bigquery://my-project.ratings --memory 512Mi"
    )


def test_the_bot_gets_its_secrets_and_its_webhook(
    cloud: FakeGcloud, telegram: Telegram, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    telegram.webhook = {}
    monkeypatch.setenv("TELEGRAM_TOKEN", TOKEN)
    assert deploy("--telegram", "-", "--votes", "--yes", "--json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["bot"] == "@JokerBot"
    secrets = cloud.project["secrets"]
    assert secrets["gpt-2-telegram-token"] == {"versions": [TOKEN], "readers": [MEMBER]}
    (secret,) = secrets["gpt-2-telegram-secret"]["versions"]
    assert re.fullmatch(r"[0-9a-f]{64}", secret)
    assert telegram.webhook["url"] == f"{cloud.state['url']}/telegram"
    assert telegram.webhook["secret_token"] == secret
    assert variables(cloud)["TELEGRAM_TOKEN"] == "gpt-2-telegram-token:1"
    typed = json.dumps(cloud.transcript())
    for value in (TOKEN, secret):
        assert value not in typed, "a command line is seen by everybody on the machine"
        assert value not in said.out + said.err
    dataset = cloud.project["datasets"]["my-project:ratings"]
    assert dataset == {"location": "us-central1", "access": [{"role": "WRITER", "userByEmail": ACCOUNT}]}
    assert [MEMBER, "roles/bigquery.jobUser"] in cloud.project["policy"]


def test_a_token_that_changed_is_a_new_version(deployed: FakeGcloud, telegram: Telegram) -> None:
    secrets = deployed.project["secrets"]
    secrets["gpt-2-telegram-token"]["versions"] = ["1:old"]
    deployed.change_project(secrets=secrets)
    assert deploy("--telegram", TOKEN, "--yes") == 0
    assert deployed.project["secrets"]["gpt-2-telegram-token"]["versions"] == ["1:old", TOKEN]
    assert variables(deployed)["TELEGRAM_TOKEN"] == "gpt-2-telegram-token:2"
    assert variables(deployed)["TELEGRAM_SECRET"] == "gpt-2-telegram-secret:1"


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("nonsense", "--telegram is no bot's token"),
        ("123:wrong", "Telegram: Telegram does not know this TELEGRAM_TOKEN"),
    ],
)
def test_a_wrong_token_is_refused_before_anything_is_made(
    cloud: FakeGcloud, telegram: Telegram, capsys: pytest.CaptureFixture[str], token: str, said: str
) -> None:
    assert deploy("--telegram", token, "--yes") == 2
    error = capsys.readouterr().err
    assert said in error
    assert token not in error
    assert not cloud.changes()


def test_delete_takes_everything_back_but_the_votes(
    deployed: FakeGcloud, telegram: Telegram, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy("--delete", "--yes") == 0
    project = deployed.project
    assert [project[name] for name in ("services", "images", "sources", "secrets")] == [{}, [], [], {}]
    assert "my-project:ratings" in project["datasets"]
    assert not telegram.webhook.get("url")
    assert "kept: votes in the dataset ratings" in capsys.readouterr().out
    assert deploy("--delete", "--delete-votes", "--yes") == 0
    assert not deployed.project["datasets"]


def test_a_service_is_found_in_its_region(deployed: FakeGcloud, capsys: pytest.CaptureFixture[str]) -> None:
    """Else a second `deploy` without --region would make a second service, and `--delete` would find nothing."""
    american = deployed.project["services"]["gpt-2@us-central1"]
    labels = american["metadata"]["labels"] | {"cloud.googleapis.com/location": "europe-west1"}
    european = american | {"metadata": american["metadata"] | {"labels": labels}}
    deployed.change_project(services={"gpt-2@europe-west1": european})
    assert deploy("--json") == 0
    assert not deployed.changes()
    assert '"region": "europe-west1"' in capsys.readouterr().out
    deployed.change_project(services={"gpt-2@europe-west1": european, "gpt-2@us-central1": american})
    assert deploy("--delete", "--yes") == 2
    assert "the service gpt-2 is in europe-west1 and us-central1: name one with --region" in capsys.readouterr().err
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TELEGRAM_API_URL", "http://127.0.0.1:9")
        assert deploy("--delete", "--region", "europe-west1", "--yes") == 0
    assert "note: the bot's webhook stays as it is." in capsys.readouterr().err
    assert list(deployed.project["services"]) == ["gpt-2@us-central1"]


def test_deleting_what_is_not_there_is_said(cloud: FakeGcloud, capsys: pytest.CaptureFixture[str]) -> None:
    assert deploy("--delete", "--delete-votes") == 0
    assert not cloud.changes()
    assert "nothing is left of the service gpt-2" in capsys.readouterr().out


def test_a_service_that_somebody_else_made_is_not_deleted(
    deployed: FakeGcloud, capsys: pytest.CaptureFixture[str]
) -> None:
    service = deployed.project["services"]["gpt-2@us-central1"]
    del service["metadata"]["labels"]["gpt2-source"]
    deployed.change_project(services={"gpt-2@us-central1": service})
    assert deploy("--delete", "--yes") == 2
    assert "was not made by `gpt2 deploy`" in capsys.readouterr().err
    assert deployed.project["services"]
    assert deploy("--dry-run") == 0
    assert "`gpt2 deploy` has not made this service" in capsys.readouterr().out
