"""`gpt2 deploy --dry-run` prints a script that a shell can run, with flags that Google's reference has."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from finetune.__main__ import main
from tests.fakes.bot_api import TOKEN
from tests.fakes.gcloud.command_lines import FLAGS
from tests.fakes.gcloud.fake_project import FakeGcloud
from tests.fakes.telegram import Telegram
from tests.finetune.deployment.conftest import STARTER

REAL = shutil.which("gcloud", path="/usr/bin:/usr/local/bin:/snap/bin")


def dry_run(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    before = set(Path(tempfile.gettempdir()).iterdir())
    assert main(["deploy", "--dry-run", *options]) == 0
    assert set(Path(tempfile.gettempdir()).iterdir()) == before, "nothing is left behind"
    return capsys.readouterr().out


def shell(text: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run it as it is, from top to bottom."""
    command = ["bash", "-euo", "pipefail", "-c", text]
    return subprocess.run(command, env=os.environ | environ, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_script_does_what_deploy_does(cloud: FakeGcloud, capsys: pytest.CaptureFixture[str]) -> None:
    with Telegram().serving() as telegram:
        script = dry_run(capsys, "--telegram", TOKEN, "--votes")
        assert TOKEN not in script
        assert not cloud.changes()
        variables = {"TELEGRAM_API_URL": telegram.url, "PATH": f"{cloud.folder / 'bin'}:/usr/bin:/bin"}
        ended = shell(script.replace("123456:the-token", TOKEN), **variables)
        assert ended.returncode == 0, ended.stderr
        assert '"text":' in ended.stdout, "what the service answered"
        assert telegram.webhook["url"] == f"{cloud.state['url']}/telegram"
    assert cloud.project["secrets"]["gpt-2-telegram-token"]["versions"] == [TOKEN]
    cloud.forget()
    assert main(["deploy", "--votes"]) == 0, "nothing is left to do"
    assert not cloud.changes()


def test_where_nobody_can_be_asked_it_is_a_script_for_a_new_project(
    cloud: FakeGcloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a clean machine, `gpt2 new`, `gpt2 serve` and `gpt2 deploy --dry-run` need no gcloud."""
    with monkeypatch.context() as without:
        without.setenv("PATH", str(cloud.folder))
        assert main(["deploy", "--dry-run", "--votes"]) == 0
    said = capsys.readouterr()
    assert "note: gcloud is not installed" in said.err
    assert said.out.count("PROJECT=my-project") == 1
    (scratch := tmp_path / "scratch dir").mkdir()
    ended = shell(said.out, TMPDIR=str(scratch))
    assert ended.returncode == 0, ended.stderr
    assert "gpt-2@us-central1" in cloud.project["services"]
    sent = cloud.project["sources"]
    assert main(["deploy", "--yes"]) == 0
    assert cloud.project["sources"] == sent, "the script sends the same files"
    assert not list(scratch.iterdir())


@pytest.mark.slow
def test_odd_names_are_quoted(cloud: FakeGcloud, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("it's $(touch pwned) a joké", "-n", "$SOURCE", "two\n rm -rf lines"):
        shutil.copytree(STARTER, Path("models") / name)
        cloud.change_project(services={})
        ended = shell(dry_run(capsys, f"models/{name}"))
        assert ended.returncode == 0, ended.stderr
        served = "model" if "\n" in name else name
        assert f"models/{served}/manifest.json" in cloud.project["sources"]
    assert not list(Path.cwd().rglob("pwned"))


@pytest.mark.slow
@pytest.mark.skipif(REAL is None, reason="gcloud is not installed")
def test_the_real_gcloud_takes_every_command(
    cloud: FakeGcloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It reads its flags before it looks for a login, so another error than that would be a flag that it does not have."""
    with Telegram().serving() as telegram:
        monkeypatch.setenv("TELEGRAM_API_URL", telegram.url)
        monkeypatch.setenv("TELEGRAM_TOKEN", TOKEN)
        assert shell(dry_run(capsys, "--telegram", "-", "--votes")).returncode == 0
        assert main(["deploy", "--telegram", "-", "--votes", "--yes"]) == 0
        assert main(["deploy", "--delete", "--delete-votes", "--yes"]) == 0
    transcript = [words for words in cloud.transcript() if words[0] == "gcloud" and words[1] != "config"]
    asked = {(*words[:4], *(word for word in words if word.startswith("--"))): words for words in transcript}
    assert len(asked) > 15
    for words in asked.values():
        assert "active account selected" in real(words, tmp_path), words


def real(words: Sequence[str], folder: Path) -> str:
    """What the real program says without an account and without a network."""
    assert REAL is not None
    core = {"DISABLE_PROMPTS": "1", "CHECK_GCE_METADATA": "false", "DISABLE_USAGE_REPORTING": "1"}
    environ = {f"CLOUDSDK_CORE_{name}": value for name, value in core.items()}
    environ |= {"CLOUDSDK_CONFIG": str(folder), "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    ended = subprocess.run([REAL, *words[1:]], env=environ, capture_output=True, text=True, input="", check=False)
    return ended.stderr


def test_each_command_has_its_page_of_the_reference() -> None:
    for command, known in FLAGS.items():
        program, _, rest = command.partition(" ")
        if program == "gcloud":
            assert known["page"] == f"https://cloud.google.com/sdk/gcloud/reference/{rest.replace(' ', '/')}".rstrip(
                "/"
            )
        else:
            assert known["page"].startswith("https://cloud.google.com/bigquery/docs/reference/bq-cli-reference#")
