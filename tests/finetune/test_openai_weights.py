"""OpenAI's models are downloaded through gpt-2-simple, here from a server on loopback that fails on request."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from app.engine.checkpoint_folder import open_checkpoint
from app.errors import CheckpointError, SettingError
from finetune import openai_weights as module
from finetune.commands.download import download
from finetune.openai_shapes import SHAPES
from finetune.openai_weights import FILES
from tests.conftest import write_tiny
from tests.damage import point_to_lfs

DATA = "model.ckpt.data-00000-of-00001"


@dataclass
class Site:
    """OpenAI's container of models. `asked` lists its requests; `files` can be changed while it serves."""

    files: dict[str, bytes]
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    cut: dict[str, int] = field(default_factory=dict)
    """How many times the connection breaks halfway through a file."""
    ranges: bool = True
    broken: set[str] = field(default_factory=set)
    """Files whose GET answers 500 although their HEAD answered 200."""

    @property
    def fetched(self) -> list[str]:
        return [name for method, name, _ in self.asked if method == "GET"]


def handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer("HEAD")

        def do_GET(self) -> None:
            self.answer("GET")

        def answer(self, method: str) -> None:
            name = self.path.removeprefix("/gpt-2/models/124M/")
            wanted = self.headers["Range"]
            site.asked.append((method, name, wanted))
            content, status, start = site.files.get(name, b"<html>An error page</html>"), 200, 0
            if name not in site.files:
                status = 404
            elif method == "GET" and name in site.broken:
                content, status = b"<html>An error page</html>", 500
            elif wanted and site.ranges:
                status, start = 206, int(wanted.removeprefix("bytes=").removesuffix("-"))
            self.send_response(status)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            if method == "GET":
                self.send(name, content[start:])

        def send(self, name: str, content: bytes) -> None:
            if site.cut.get(name, 0):
                site.cut[name] -= 1
                # More than a MiB: the downloader writes to the disk in pieces of that size.
                self.wfile.write(content[: max(len(content) // 2, 5 * 2**18)])
                self.close_connection = True
            else:
                self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            pass

    return Handler


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model under the names of OpenAI's files, large enough to be sent in several pieces."""
    folder = tmp_path_factory.mktemp("original")
    write_tiny(folder, n_embd=128, n_layer=4)
    for part in ("index", "data-00000-of-00001"):
        (folder / f"model-7.{part}").rename(folder / f"model.ckpt.{part}")
    (folder / "model.ckpt.meta").write_bytes(b"a graph that nothing here reads")
    (folder / "checkpoint").write_text(
        'model_checkpoint_path: "model.ckpt"\nall_model_checkpoint_paths: "model.ckpt"\n'
    )
    (folder / "counter").unlink()
    assert (folder / DATA).stat().st_size > 3 * 2**20
    return folder


@pytest.fixture
def site(original: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    found = Site({name: (original / name).read_bytes() for name in FILES})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(found)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setattr(module, "URL", f"http://127.0.0.1:{server.server_port}/gpt-2")
        monkeypatch.setattr(module, "SHAPES", {"124M": open_checkpoint(original).hparams})
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield found
        server.shutdown()
        thread.join()


def one_sentence(error: BaseException) -> bool:
    return re.fullmatch(r"[^\n]+\.", str(error)) is not None


def test_all_seven_files_arrive_as_they_are(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    download("124M", models=tmp_path / "models")
    out = tmp_path / "models" / "124M"
    assert {path.name: path.read_bytes() for path in out.iterdir()} == site.files
    assert list(out.parent.iterdir()) == [out]
    assert "every tensor matches its checksum" in capsys.readouterr().out


def test_a_complete_model_is_not_downloaded_again(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    download("124M", models=tmp_path)
    site.asked.clear()
    download("124M", models=tmp_path)
    assert site.asked == []
    assert "124M is already there and complete." in capsys.readouterr().out


def test_a_broken_transfer_is_resumed_where_it_broke(site: Site, tmp_path: Path) -> None:
    site.cut = {DATA: 2}
    download("124M", models=tmp_path)
    assert (tmp_path / "124M" / DATA).read_bytes() == site.files[DATA]
    ranges = [wanted for method, name, wanted in site.asked if (method, name) == ("GET", DATA)]
    assert ranges[0] is None
    assert all(wanted and not wanted.startswith("bytes=0-") for wanted in ranges[1:])


def test_another_call_resumes_and_downloads_nothing_twice(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.cut = {DATA: 1}
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    with pytest.raises(CheckpointError, match="is not complete after 1 attempts") as caught:
        download("124M", models=tmp_path)
    assert one_sentence(caught.value)
    assert not (tmp_path / "124M").exists()
    have = (tmp_path / ".124M-download" / DATA).stat().st_size
    assert 0 < have < len(site.files[DATA])
    before = set(site.fetched) - {DATA}
    site.asked.clear()
    download("124M", models=tmp_path)
    assert ("GET", DATA, f"bytes={have}-") in site.asked
    assert not before & set(site.fetched)
    assert (tmp_path / "124M" / DATA).read_bytes() == site.files[DATA]


def test_a_server_without_range_requests_is_asked_for_the_whole_file(site: Site, tmp_path: Path) -> None:
    site.cut, site.ranges = {DATA: 1}, False
    download("124M", models=tmp_path)
    assert (tmp_path / "124M" / DATA).read_bytes() == site.files[DATA]


def test_an_error_page_is_not_kept_as_the_file(site: Site, tmp_path: Path) -> None:
    site.broken = {"encoder.json"}
    with pytest.raises(CheckpointError, match=r"encoder\.json is not complete after 4 attempts") as caught:
        download("124M", models=tmp_path)
    assert one_sentence(caught.value)
    assert not (tmp_path / ".124M-download" / "encoder.json").exists()
    site.broken = set()
    download("124M", models=tmp_path)


def test_a_file_that_is_not_there(site: Site, tmp_path: Path) -> None:
    del site.files["vocab.bpe"]
    with pytest.raises(CheckpointError, match=r"models/124M/vocab.bpe answered 404 Not Found: try again") as caught:
        download("124M", models=tmp_path)
    assert one_sentence(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "URL", "http://127.0.0.1:9/gpt-2")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(
        CheckpointError, match=r"^127.0.0.1:9 cannot be reached \(it refuses .+; `download` resumes"
    ) as caught:
        download("124M", models=tmp_path / "models")
    assert one_sentence(caught.value)
    assert not (tmp_path / "models").exists()


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


WRONG = {
    "a bit of the weights": (DATA, flipped, "is damaged"),
    "an index of nothing": ("model.ckpt.index", lambda _: b"no index at all", "is damaged"),
    "another vocabulary": ("encoder.json", lambda _: b'{"a": 0}', "are not a GPT-2 vocabulary|has 1 tokens"),
    "a page that greets": (
        "hparams.json",
        lambda _: b"<html>Log in to this network</html>",
        r"hparams\.json is a web page and not the file itself",
    ),
    "another model's shape": (
        "hparams.json",
        lambda content: content.replace(b'"n_ctx":64', b'"n_ctx":32'),
        "another model",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_files_that_are_wrong_are_removed_and_named(site: Site, tmp_path: Path, wrong: str) -> None:
    name, change, message = WRONG[wrong]
    right = site.files[name]
    site.files[name] = change(right)
    with pytest.raises(CheckpointError, match=message) as caught:
        download("124M", models=tmp_path)
    assert one_sentence(caught.value)
    assert str(caught.value).startswith("What 127.0.0.1:")
    assert list(tmp_path.iterdir()) == []
    site.files[name] = right
    download("124M", models=tmp_path)


def test_weights_of_another_shape(site: Site, original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """hparams.json is right, but the weights belong to another model."""
    shorter = msgspec.structs.replace(open_checkpoint(original).hparams, n_ctx=32)
    monkeypatch.setattr(module, "SHAPES", {"124M": shorter})
    site.files["hparams.json"] = msgspec.json.encode(shorter)
    with pytest.raises(CheckpointError, match=r"model/wpe does not have the shape that hparams\.json gives"):
        download("124M", models=tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_an_incomplete_folder_is_left_alone(site: Site, original: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(original, tmp_path / "124M"))
    (folder / name).unlink()
    with pytest.raises(SettingError, match=rf"124M exists and is not 124M: move it away.*{name} is missing") as caught:
        download("124M", models=tmp_path)
    assert one_sentence(caught.value)
    assert site.asked == []
    assert len(list(folder.iterdir())) == len(FILES) - 1


def test_a_clone_without_git_lfs_is_named(site: Site, original: Path, tmp_path: Path) -> None:
    """Its files are all there, and are notes of where the files are."""
    folder = Path(shutil.copytree(original, tmp_path / "124M"))
    point_to_lfs(folder / "model.ckpt.index")
    with pytest.raises(
        SettingError, match=r"model\.ckpt\.index is a Git LFS pointer, for which `git lfs pull`"
    ) as caught:
        download("124M", models=tmp_path)
    assert one_sentence(caught.value)


def test_the_shapes_are_openais() -> None:
    """The numbers of parameters follow from the sizes of OpenAI's files, at four bytes each."""
    from math import prod

    from finetune.checkpoint import variable_shapes

    count = {name: sum(map(prod, variable_shapes(shape).values())) for name, shape in SHAPES.items()}
    assert count == {"124M": 124_439_808, "355M": 354_823_168, "774M": 774_030_080, "1558M": 1_557_611_200}
