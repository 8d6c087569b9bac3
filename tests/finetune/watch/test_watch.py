"""The live page is served to this machine alone, and shows texts as text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from finetune.__main__ import main
from finetune.run_folder import RunFolder
from finetune.watch.page_file import leave_page
from finetune.watch.watch_server import allowed_hosts, listen_on, watch_application
from finetune.watch.watched_runs import WatchedRuns
from tests.conftest import SENTENCES
from tests.fakes.loopback import on_loopback
from tests.finetune.watch.progress import told

ATTACK = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "jokes")
    RunFolder(tmp_path / "jokes").add_samples(12, [SENTENCES[0], ATTACK])
    return tmp_path / "jokes"


@pytest.fixture
def address(run: Path, tmp_path: Path) -> Iterator[str]:
    with on_loopback(watch_application(WatchedRuns([run, tmp_path / "later"]))) as address:
        yield address


def test_the_page_has_no_markup_of_texts_and_needs_no_other_file(address: str) -> None:
    page = httpx.get(address)
    assert "<img" not in page.text
    assert page.text.count("<script") == 2
    script, style = re.findall(r"<script>(.*)</script>|<style>(.*?)</style>", page.text, re.DOTALL)[::-1]
    for part in (script[0], style[1]):
        digest = base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
        assert digest in page.headers["Content-Security-Policy"]
    assert not re.search(r"https?://(?!www\.w3\.org)", script[0] + style[1])


def test_news_come_only_when_there_are_any(address: str, run: Path, tmp_path: Path) -> None:
    first = httpx.get(f"{address}/state.json")
    jokes, later = first.json()
    assert (jokes["title"], jokes["state"], jokes["samples"][0]["texts"][1][0]["text"]) == ("jokes", "finished", ATTACK)
    assert later["state"] == "waiting"
    while not httpx.get(f"{address}/state.json").json()[0]["samples"][0]["copied"]:
        pass  # Copies are looked for in the background.
    version = httpx.get(f"{address}/state.json").headers["ETag"]
    assert httpx.get(f"{address}/state.json", headers={"If-None-Match": version}).status_code == 304
    told(tmp_path / "later")
    changed = httpx.get(f"{address}/state.json", headers={"If-None-Match": version})
    assert changed.json()[1]["state"] == "training"
    shutil.rmtree(run)
    assert httpx.get(f"{address}/state.json").json()[0]["state"] == "waiting"


def test_what_is_copied_is_marked(address: str, run: Path) -> None:
    views = WatchedRuns([run]).views(wait=True)
    copied, other = views[0].samples[0].texts
    assert "".join(piece.text for piece in copied) == SENTENCES[0]
    assert any(piece.copied for piece in copied)
    assert "".join(piece.text for piece in other) == ATTACK
    shutil.rmtree(run / "events")
    (run / "description.json").unlink()
    assert WatchedRuns([run]).views(wait=True)[0].samples[0].copied is None


def test_another_site_cannot_read_it_or_let_it_write(address: str, run: Path) -> None:
    """A page of another site may give its own name the address of this machine (DNS rebinding)."""
    assert httpx.get(address, headers={"Host": "evil.example"}).status_code == 400
    asked = {"folder": str(run), "prompt": "Why"}
    answer = httpx.post(f"{address}/talk", content=json.dumps(asked), headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415
    assert allowed_hosts("0.0.0.0") == ["*"]


def test_colab_passes_requests_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "*.googleusercontent.com" not in allowed_hosts("127.0.0.1")
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    assert "*.googleusercontent.com" in allowed_hosts("127.0.0.1")


def test_the_newest_save_writes(address: str, run: Path) -> None:
    asked = {"folder": str(run), "prompt": "Why did"}
    step, _, text = httpx.post(f"{address}/talk", json=asked, timeout=60).text.partition("\n")
    assert step == "12"
    assert text
    for name in ("model-12.index", "model-12.data-00000-of-00001"):
        (run / name).unlink()
    (run / "checkpoint").write_text('model_checkpoint_path: "model-8"\n', encoding="utf-8")
    assert httpx.post(f"{address}/talk", json=asked, timeout=60).text.startswith("8\n")


def test_who_leaves_lets_the_next_one_write(address: str, run: Path) -> None:
    """A text that nobody read to its end was never closed, and all others waited for it forever."""
    asked = {"folder": str(run), "prompt": "Why did"}
    for _ in range(5):
        with httpx.stream("POST", f"{address}/talk", json=asked, timeout=60) as answer:
            next(answer.iter_raw())
    assert httpx.post(f"{address}/talk", json=asked, timeout=60).text.startswith("12\n")


def test_a_model_that_knows_turns_answers(address: str, run: Path) -> None:
    description = json.loads((run / "description.json").read_text(encoding="utf-8"))
    (run / "description.json").write_text(json.dumps(description | {"template": "qa"}), encoding="utf-8")
    assert httpx.get(f"{address}/state.json").json()[0]["turns"]
    asked = {"folder": str(run), "prompt": "Why did the duck cross?"}
    step, _, answer = httpx.post(f"{address}/talk", json=asked, timeout=60).text.partition("\n")
    assert step == "12"
    assert not re.search(r"\[(QUESTION|ANSWER)\]", answer)


@pytest.mark.parametrize(
    ("content", "status", "sentence"),
    [
        (b"{", 400, "Send an object with folder and prompt"),
        (b'{"folder": "/etc", "prompt": ""}', 404, "This page does not show that run"),
        (b'{"folder": "x", "prompt": "' + b"x" * 20_000 + b'"}', 413, "The beginning is too long"),
    ],
)
def test_bad_requests_are_one_sentence(address: str, content: bytes, status: int, sentence: str) -> None:
    answer = httpx.post(f"{address}/talk", content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.text.startswith(sentence)) == (status, True)


def test_what_the_model_cannot_write_is_one_sentence(address: str, run: Path, tmp_path: Path) -> None:
    long = httpx.post(f"{address}/talk", json={"folder": str(run), "prompt": "Why " * 300}, timeout=60)
    assert long.status_code == 409
    assert re.fullmatch(r"this is \d+ tokens long and the model's window holds 64: shorten it\.", long.text)
    none = httpx.post(f"{address}/talk", json={"folder": str(tmp_path / "later"), "prompt": "Why"}, timeout=60)
    assert none.status_code == 409


def test_json_is_for_scripts(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", str(run), "--json"]) == 0
    (view,) = json.loads(capsys.readouterr().out)
    assert view["verdict"].startswith("Finished at step 12.")
    assert main(["watch", str(run.parent)]) == 2
    assert main(["watch", str(run / "model-8"), "--json"]) == 2
    assert f"{run}/model-8 is not a run, but {run} is: name that." in capsys.readouterr().err
    assert main(["watch", str(run), "--port", "70000"]) == 2
    assert capsys.readouterr().err == "error: --port is 70000 and should be between 0 and 65535.\n"


def test_runs_of_one_name_are_told_apart(run: Path, tmp_path: Path) -> None:
    told(tmp_path / "other/jokes")
    views = WatchedRuns([run, tmp_path / "other/jokes", run]).views()
    assert [view.title for view in views] == [str(run), str(tmp_path / "other/jokes")]


def test_another_run_may_take_the_folder(address: str, run: Path, base: Path) -> None:
    """Copies were then looked for in the first run's text, and the first run's model went on talking."""
    watched = WatchedRuns([run])
    assert watched.views(wait=True)[0].samples[0].copied
    asked = {"folder": str(run), "prompt": "Why did"}
    before = {httpx.post(f"{address}/talk", json=asked, timeout=60).text for _ in range(3)}
    description = json.loads((run / "description.json").read_text(encoding="utf-8"))
    shutil.rmtree(run)
    shutil.copytree(base / "init", run)
    for path in run.glob("model*"):
        path.rename(path.with_name(f"model-12{path.name[path.name.index('.') :]}"))
    (run / "checkpoint").write_text('model_checkpoint_path: "model-12"\n', encoding="utf-8")
    (run / "description.json").write_text(json.dumps(description | {"corpus_sha256": "another"}), encoding="utf-8")
    RunFolder(run).add_samples(12, [SENTENCES[0]])
    view = watched.views(wait=True)[0]
    assert (view.samples[0].copied, view.copies[:26]) == (None, "The training text is not h")
    assert httpx.post(f"{address}/talk", json=asked, timeout=60).text not in before


def test_a_taken_port_is_one_sentence(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with listen_on("127.0.0.1", None, 0) as taken:
        port = taken.getsockname()[1]
        assert main(["watch", str(run), "--port", str(port)]) == 2
        assert f"127.0.0.1:{port} cannot be opened" in capsys.readouterr().err
        with listen_on("127.0.0.1", None, port) as free:
            assert free.getsockname()[1] != port


def test_ctrl_c_ends_the_page(run: Path) -> None:
    command = [sys.executable, "-m", "finetune", "watch", str(run), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = child.stdout.readline()
        assert httpx.get(said.split()[0]).status_code == 200
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == 0
    assert said.endswith("Ctrl-C ends the page, not the training.\n")


def test_a_page_that_cannot_be_written_is_no_failure(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (run / "watch.html").read_bytes()
    leave_page(run)
    assert (run / "watch.html").read_bytes() == before, "another process trained it"
    (run / "watch.html").unlink()
    (run / "watch.html").mkdir()
    told(run, state="finished")
    leave_page(run)
    assert "watch.html was not written" in capsys.readouterr().err
    leave_page(run / "best")
    assert not (run / "best/watch.html").exists()
