"""`gpt2 serve`: the app with its settings as options; and what `python -m app` says about itself."""

from __future__ import annotations

import re
import shutil
import signal
import socket
from pathlib import Path

import httpx
import pytest

from app.settings import meanings
from finetune.__main__ import main
from tests.conftest import free_port, process, run_module


@pytest.fixture
def project(bundles: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("starter", "jokes"):
        shutil.copytree(bundles[8], tmp_path / "models" / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def named(bundle: Path, name: str) -> None:
    manifest = bundle / "manifest.json"
    manifest.write_text(re.sub(r'"name": *"\w+"', f'"name": "{name}"', manifest.read_text()))


def test_it_serves_the_default_says_where_and_ends_cleanly(project: Path) -> None:
    named(project / "models/jokes", "jokes")
    assert main(["use", "jokes"]) == 0
    # A folder of the user may be called app as well.
    (project / "app").mkdir()
    (project / "app/__init__.py").write_text("raise SystemExit('the wrong app')")
    with process("-P", "-m", "finetune", "serve", FEEDBACK="") as (child, url):
        assert httpx.get(f"{url}/version").json()["models"] == ["jokes"]
        child.send_signal(signal.SIGINT)
        printed = child.communicate(timeout=20)[0]
        assert child.returncode == 0
    assert f"INFO serving jokes on {url.replace('127.0.0.1', 'localhost')}\n" in printed
    assert "Traceback" not in printed


def test_an_option_wins_over_the_variable(project: Path) -> None:
    named(project / "models/jokes", "jokes")
    options = ["--host", "127.0.0.1", "--max-length=7", "--feedback", ""]
    with process("-P", "-m", "finetune", "serve", "jokes", *options, MODEL="/nowhere", MAX_LENGTH="5") as (_, url):
        assert httpx.get(f"{url}/?length=7").json()["model"] == "jokes"
        assert httpx.get(f"{url}/?length=8").status_code == 400
        assert not (project / "feedback.db").exists()
        ended = run_module("finetune", "serve", "jokes", "--port", url.rpartition(":")[2], "--host", "127.0.0.1")
        assert (
            ended.stderr
            == f"error: port {url.rpartition(':')[2]} is taken: set PORT or `gpt2 serve --port` to another.\n"
        )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--port", "abc"], "--port is 'abc', and should be the port to listen on, 1 to 65535."),
        (
            ["--queue-limit=-1"],
            "--queue-limit is '-1', and should be how many requests may wait in the queue, 0 to 10000.",
        ),
        (["--api-keys", "'a'"], "--api-keys is not what it should be: leave out the quotes"),
        (["--prot", "8081"], "`gpt2 serve` has no option --prot. Did you mean --port? `gpt2 serve --help` lists all."),
        (["jkes"], "'jkes' is no bundle here: did you mean models/jokes?"),
        (["jokes", "starter"], "'starter' is one word too many: `gpt2 serve --help` lists what it takes."),
    ],
)
def test_what_cannot_be_is_one_sentence(
    arguments: list[str], sentence: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"error: {sentence}")


def test_a_chosen_bundle_that_is_gone_stops_the_start(project: Path) -> None:
    """The starter never stands in for it."""
    (project / "models/DEFAULT").write_text("gone\n")
    ended = run_module("finetune", "serve")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(
        "error: models/DEFAULT names gone, and there is no bundle in models/gone: `gpt2 use NAME`"
    )


def test_every_setting_is_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--help"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for name, meaning in meanings().items():
        if name != "MODEL":
            assert f"--{name.lower().replace('_', '-')} " in printed
            assert meaning in printed


def test_the_app_explains_itself_and_does_not_start(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m app --help` started the server, whatever stood behind it."""
    for word in ("--help", "-h"):
        ended = run_module("app", word)
        assert (ended.returncode, ended.stderr) == (0, "")
        printed = " ".join(ended.stdout.split())
        for name, meaning in meanings().items():
            assert f" {name} {meaning}" in printed
        assert max(map(len, ended.stdout.splitlines())) <= 120
    for words in (["--port", "8081"], ["serve"], ["--help", "me"]):
        ended = run_module("app", *words)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert re.fullmatch(r"error: python -m app takes no arguments, such as '.+', but [^\n]+\n", ended.stderr)


def test_it_listens_where_it_is_told(bundles: dict[int, Path]) -> None:
    with process(ENGINE="fake", LISTEN="127.0.0.1") as (_, url):
        port = int(url.rpartition(":")[2])
        with socket.create_server(("127.0.0.2", port)):
            pass
    for address in ("192.0.2.1", "999.0.0.1", "no.such.host.invalid"):
        ended = run_module("app", ENGINE="fake", LISTEN=address, PORT=str(free_port()))
        assert ended.returncode == 2
        assert (
            ended.stderr
            == f"error: LISTEN is {address!r}, which is no address of this machine: try 0.0.0.0 or 127.0.0.1.\n"
        )


def test_it_listens_on_ipv6_too() -> None:
    with process(ENGINE="fake", LISTEN="::") as (child, url):
        port = url.rpartition(":")[2]
        assert httpx.get(f"http://[::1]:{port}/health").status_code == 200
        child.send_signal(signal.SIGTERM)
        assert f"serving fake on http://localhost:{port}\n" in child.communicate(timeout=20)[0]
