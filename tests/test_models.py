"""Several models in one container: chosen by name, loaded when asked for, freed when memory is short."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx
import msgspec
import pytest

from app.engine.fake import FakeEngine
from app.errors import BundleError, ModelNotLoaded, SettingError, UnknownModel
from app.memory import BASE, WORK
from app.models import Models, load_models
from app.settings import Settings
from tests.conftest import process, serving


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


def test_the_least_recently_used_model_is_freed_when_memory_is_short() -> None:
    engines = {name: FakeEngine(name=name) for name in "abc"}
    loaders = {name: lambda name=name: engines[name] for name in engines}
    models = Models(loaders, dict.fromkeys(engines, 100), BASE + WORK + 200)
    models.load_default()
    for name in ("b", "a", "c"):
        assert models.get(name) is engines[name]
    assert models.known("b") == "b"
    assert models.loaded == ["a", "c"]
    assert models.get() is engines["a"]
    assert models.loaded == ["c", "a"]


def test_a_folder_of_bundles_is_served_from_one_process(bundles: dict[int, Path], tmp_path: Path) -> None:
    named(tmp_path, bundles[8], "first")
    named(tmp_path, bundles[4], "second")
    with process(MODEL=str(bundles[32]), MODELS=str(tmp_path)) as (_, url):
        names = httpx.get(f"{url}/version").json()["models"]
        assert names == ["tiny32", "first", "second"]
        assert [httpx.get(f"{url}/?length=2&model={name}").json()["model"] for name in names] == names


def test_a_model_that_is_damaged_is_refused_and_the_others_stay(bundles: dict[int, Path], tmp_path: Path) -> None:
    damaged = named(tmp_path, bundles[8], "damaged")
    (damaged / "model.onnx.data").write_bytes(b"")
    models = load_models(Settings(model=str(bundles[32]), models=str(damaged)))
    with pytest.raises(ModelNotLoaded, match=r"^model 'damaged' cannot be loaded: .+model\.onnx\.data is not the file"):
        models.get("damaged")
    assert models.get().name == "tiny32"
    with pytest.raises(UnknownModel):
        models.get("other")


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
