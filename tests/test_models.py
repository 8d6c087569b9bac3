"""Several models in one container: chosen by name, loaded when asked for, freed when memory is short."""

from __future__ import annotations

import asyncio
import gc
import re
import shutil
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from app.engine.bundle import open_bundle
from app.engine.fake import FakeEngine
from app.engine.memory import SCRATCH, ModelMemory
from app.engine.onnx import OnnxEngine, open_session
from app.errors import BundleError, SettingError, UnknownModel
from app.models import bundle_folders, load_models
from app.settings import Settings
from tests.conftest import ROOT, process, serving


def named(folder: Path, source: Path, name: str) -> Path:
    shutil.copytree(source, folder / name)
    manifest = folder / name / "manifest.json"
    manifest.write_bytes(msgspec.json.encode(msgspec.json.decode(manifest.read_bytes()) | {"name": name}))
    return folder / name


def test_a_request_chooses_its_model() -> None:
    with serving(FakeEngine("a", name="one"), FakeEngine("b", name="two")) as url:
        assert httpx.get(f"{url}/?length=3").json()["text"] == "aaa"
        reply = httpx.get(f"{url}/?length=3&model=two").json()
        assert (reply["text"], reply["model"]) == ("bbb", "two")
        refused = httpx.get(f"{url}/?model=three")
        assert httpx.get(f"{url}/version").json()["models"] == ["one", "two"]
    assert refused.status_code == 404
    assert refused.json()["error"]["message"] == "model 'three' is not served here; 'one', 'two' are."


def test_a_folder_of_bundles_is_served_from_one_process(bundles: dict[int, Path], tmp_path: Path) -> None:
    named(tmp_path, bundles[8], "first")
    named(tmp_path, bundles[4], "second")
    with process(MODEL=str(bundles[32]), MODELS=str(tmp_path)) as (_, url):
        names = httpx.get(f"{url}/version").json()["models"]
        assert names == ["tiny32", "first", "second"]
        assert [httpx.get(f"{url}/?length=2&model={name}").json()["model"] for name in names] == names


def test_a_model_that_is_damaged_is_refused_until_it_is_whole_again_and_the_others_stay(
    bundles: dict[int, Path], tmp_path: Path
) -> None:
    damaged = named(tmp_path, bundles[4], "damaged")
    whole = (damaged / "model.onnx.data").read_bytes()
    (damaged / "model.onnx.data").write_bytes(b"")
    models = load_models(Settings(model=str(bundles[32]), models=str(damaged)))
    with serving(*(models.get(name) for name in models.names)) as url:
        refused = httpx.get(f"{url}/?length=2&model=damaged")
        assert refused.status_code == 500
        assert re.match(
            r"model 'damaged' cannot be loaded: .+model\.onnx\.data is empty", refused.json()["error"]["message"]
        )
        assert refused.json()["error"]["code"] == "model_not_loaded"
        assert httpx.get(f"{url}/?length=2").json()["model"] == "tiny32"
        (damaged / "model.onnx.data").write_bytes(whole)
        assert httpx.get(f"{url}/?length=2&model=damaged").json()["model"] == "damaged"
    with pytest.raises(UnknownModel):
        models.get("other")


def test_bundles_share_one_vocabulary_and_are_read_without_their_weights(
    bundles: dict[int, Path], tmp_path: Path
) -> None:
    """Fifteen megabytes each, of what is nearly always the same."""
    (tmp_path / "second").mkdir()
    for file in ("manifest.json", "tokenizer.json", "model.onnx", "batch.onnx"):
        shutil.copy(bundles[8] / file, tmp_path / "second")
    models = load_models(Settings(model=str(bundles[32]), models=str(tmp_path / "second")))
    assert models.get("tiny8").tokenizer is models.get("tiny32").tokenizer
    assert models.memory.loaded == ["tiny32"]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_with_room_for_one_model_no_two_are_ever_in_memory(
    bundles: dict[int, Path], monkeypatch: pytest.MonkeyPatch, concurrency: int
) -> None:
    """Requests that waited held their models: with room for one, three were in memory.

    Now a request waits for its turn without its model's weights, and a model is freed before the next one is loaded. The weights'
    sessions are counted without the help of the garbage collector.
    """
    alive: list[weakref.ref[object]] = []
    most = 0

    def counted(*arguments: Any) -> object:
        nonlocal most
        session = open_session(*arguments)
        alive.append(weakref.ref(session))
        most = max(most, sum(reference() is not None for reference in alive))
        return session

    monkeypatch.setattr("app.engine.onnx.open_session", counted)
    engines = [OnnxEngine(open_bundle(folder), threads=1) for folder in bundles.values()]
    for engine in engines:
        engine.weight_bytes = 2**20
    memory = ModelMemory(SCRATCH + 2**20 + 3 * engines[0].slot_bytes(64), base=0)
    asked = ["tiny32", "tiny8", "tiny32", "tiny4", "tiny4", "tiny8"] * 3
    gc.disable()
    try:
        with serving(*engines, memory=memory, concurrency=concurrency) as url:
            replies = ask_together(url, [{"model": name, "length": 20, "nsamples": 3} for name in asked])
    finally:
        gc.enable()
    assert [reply.json()["model"] for reply in replies] == asked
    assert most == 1
    assert len(alive) > 3


def test_requests_for_a_model_that_cannot_be_loaded_share_one_failure() -> None:
    """Each of them waits for its turn, and none loads the model again that has just failed."""

    class Broken(FakeEngine):
        tries = 0

        def load(self) -> None:
            self.tries += 1
            time.sleep(0.3)
            raise BundleError("broken.")

    broken = Broken(name="broken")
    with serving(FakeEngine(), broken) as url:
        replies = ask_together(url, [{"model": "broken"}] * 5)
        assert [reply.status_code for reply in replies] == [500] * 5
        assert {reply.json()["error"]["message"] for reply in replies} == {"model 'broken' cannot be loaded: broken."}
        assert broken.tries == 1
        assert httpx.get(f"{url}/?model=broken").status_code == 500
        assert broken.tries == 2


def test_a_model_that_is_being_loaded_delays_nobody_else() -> None:
    """A request for a loaded model waited for the lock that another's load held, and with it all that only counts tokens."""
    loading, may_load = threading.Event(), threading.Event()

    class Slow(FakeEngine):
        def load(self) -> None:
            loading.set()
            assert may_load.wait(20)

    with serving(FakeEngine("a"), Slow("b", name="slow"), concurrency=2) as url, ThreadPoolExecutor(1) as thread:
        slow = thread.submit(httpx.get, f"{url}/?length=3&model=slow", timeout=30)
        assert loading.wait(20)
        assert httpx.get(f"{url}/?length=3").json()["text"] == "aaa"
        assert httpx.post(f"{url}/tokenize", json={"prompt": "a", "model": "slow"}).json()["count"] == 2
        for path in ("health", "version", "v1/models", "v1/models/slow", "metrics"):
            assert httpx.get(f"{url}/{path}").status_code == 200
        assert not slow.done()
        may_load.set()
        assert slow.result().json()["text"] == "bbb"


def test_who_waits_for_a_model_that_is_being_loaded_lets_others_pass() -> None:
    """A second request for it waited at the head of the queue, and behind it one for a loaded model, with a thread free."""
    loading, may_load = threading.Event(), threading.Event()

    class Slow(FakeEngine):
        def load(self) -> None:
            loading.set()
            assert may_load.wait(20)

    engines = [FakeEngine("a"), Slow("b", name="slow"), FakeEngine("c", name="other")]
    with serving(*engines, concurrency=2) as url, ThreadPoolExecutor(3) as threads:
        replies = [threads.submit(httpx.get, f"{url}/?length=3&model=slow", timeout=30)]
        assert loading.wait(20)
        replies += [
            threads.submit(httpx.get, f"{url}/?length=3&model={name}", timeout=30) for name in ("slow", "other")
        ]
        while "num_requests_waiting 2" not in httpx.get(f"{url}/metrics").text:
            time.sleep(0.01)
        assert httpx.get(f"{url}/?length=3").json()["text"] == "aaa"
        assert not any(reply.done() for reply in replies)
        may_load.set()
        assert [reply.result().json()["text"] for reply in replies] == ["bbb", "bbb", "ccc"]


def test_a_model_that_takes_too_long_to_load_is_an_answer_in_time() -> None:
    """The load goes on, and the next request profits from it."""
    may_load = threading.Event()

    class Slow(FakeEngine):
        def load(self) -> None:
            assert may_load.wait(20)

    with serving(FakeEngine("a"), Slow("b", name="slow"), request_timeout=0.3) as url:
        assert httpx.get(f"{url}/?length=3&model=slow").status_code == 503
        may_load.set()
        assert httpx.get(f"{url}/?length=3&model=slow").json()["text"] == "bbb"


def ask_together(url: str, bodies: list[dict[str, Any]]) -> list[httpx.Response]:
    async def all_of_them() -> list[httpx.Response]:
        async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=None)) as client:
            return await asyncio.gather(*(client.post(url, json=body) for body in bodies))

    return asyncio.run(all_of_them())


LITTLE_MEMORY = """
import resource
from pathlib import Path
from app.errors import FatalError
from app.models import Settings, bundle_models

models = bundle_models(Settings(threads=1))
models.read_vocabularies()
size = int(Path("/proc/self/status").read_text().split("VmSize:")[1].split()[0]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (size + 2**24, resource.RLIM_INFINITY))
try:
    models.load_default()
except FatalError as error:
    print(error)
"""


def test_too_little_memory_for_a_model_is_said() -> None:
    """It was told to be no graph that ONNX Runtime reads."""
    ended = subprocess.run([sys.executable, "-c", LITTLE_MEMORY], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout == (
        "there is not enough memory for models/starter: allow more, or export the model with fewer bits.\n"
    )


LOADED = """
from pathlib import Path
from app.engine.heap import share_heap
from app.models import Settings, bundle_models

def used():
    return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]) * 1024

share_heap()
models = bundle_models(Settings(threads=1))
before = used()
models.load_default()
print(used() - before)
"""


def test_a_loaded_model_takes_little_more_than_its_weights() -> None:
    """The starter took 100 MB, most of which loading had freed: models were counted as smaller than they were."""
    ended = subprocess.run([sys.executable, "-c", LOADED], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(ended.stdout) < 40e6


def test_models_of_one_name_or_of_a_wrong_path_stop_the_start(bundles: dict[int, Path], tmp_path: Path) -> None:
    same = named(tmp_path / "copy", bundles[8], "tiny32")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SettingError, match=r"both named 'tiny32'"):
        load_models(Settings(model=str(bundles[32]), models=str(same)))
    with pytest.raises(SettingError, match=r"neither a bundle nor a folder of bundles"):
        load_models(Settings(model=str(bundles[32]), models=str(tmp_path / "empty")))
    with pytest.raises(SettingError, match=r"^MODELS is for ENGINE=onnx"):
        load_models(Settings(engine="fake", models=str(same)))
    with pytest.raises(BundleError):
        load_models(Settings(model=str(tmp_path / "empty")))


def test_a_bundle_that_is_being_written_is_not_served(bundles: dict[int, Path], tmp_path: Path) -> None:
    """`export` writes in a hidden folder beside, which kill -9 leaves there with its manifest: MODELS served it as a model."""
    for name in ("jokes", ".jokes-1a2b3c4d.new", ".jokes-1a2b3c4d.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").touch()
    assert bundle_folders(str(tmp_path)) == [tmp_path / "jokes"]
