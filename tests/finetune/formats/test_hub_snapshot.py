"""A model is fetched from the Hugging Face Hub by its name, here from one on loopback that behaves and fails as the real one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from app.engine.bundle import read_manifest
from app.engine.checkpoint_folder import open_checkpoint
from app.errors import CheckpointError, SettingError
from finetune.commands.import_ import import_
from finetune.formats.hub_snapshot import hub_name
from tests.conftest import free_port
from tests.fakes.hugging_face_hub import COMMIT, NAME, WEIGHTS, Hub
from tests.finetune.formats.conftest import CHUNK, SNAPSHOT
from tests.finetune.formats.huggingface_folders import as_old_vocabulary, as_shards


def test_a_name_becomes_a_bundle(hub: Hub, theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import_(NAME, bundle=True)
    manifest = read_manifest(Path("models/gpt2"))
    assert manifest.training == {"imported": NAME, "revision": COMMIT}
    assert f"from {NAME} of the Hugging Face Hub, commit 607a30d" in capsys.readouterr().out
    import_(str(theirs), out=tmp_path / "by hand", bundle=True)
    assert manifest.files == read_manifest(tmp_path / "by hand").files


def test_only_what_import_reads_is_fetched_and_the_description_first(hub: Hub) -> None:
    import_(NAME, bundle=True)
    assert hub.fetched[0] == "config.json"
    assert sorted(hub.fetched) == sorted(
        ["config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json", WEIGHTS]
    )


def test_a_name_becomes_a_checkpoint(hub: Hub) -> None:
    import_("gpt2")
    assert open_checkpoint(Path("models/gpt2")).hparams.n_vocab == 300


FORMS: dict[str, Callable[[Path], object]] = {"shards": as_shards, "a vocabulary in two files": as_old_vocabulary}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_that_import_reads_is_fetched(hub: Hub, theirs: Path, form: str) -> None:
    FORMS[form](theirs)
    hub.take(theirs)
    import_(NAME, bundle=True)
    assert read_manifest(Path("models/gpt2")).hparams.n_vocab == 300


def test_what_was_fetched_is_not_fetched_again_and_serves_without_a_network(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import_(NAME, out=Path("first"))
    hub.asked.clear()
    import_(NAME, out=Path("second"), bundle=True)
    assert [path for path, _ in hub.asked] == [f"/api/models/{NAME}/revision/main"]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    import_(NAME, out=Path("third"), bundle=True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import_(NAME, out=Path("fourth"), bundle=True, revision=COMMIT)
    assert capsys.readouterr().err.count("is not asked: openai-community/gpt2 is taken from") == 2
    assert read_manifest(Path("third")).training == read_manifest(Path("second")).training


@pytest.mark.parametrize("revision", ["refs/pr/7", COMMIT])
def test_a_revision_may_be_given(hub: Hub, revision: str) -> None:
    import_(NAME, revision=revision, bundle=True)
    assert read_manifest(Path("models/gpt2")).training["revision"] == COMMIT
    assert (SNAPSHOT / WEIGHTS).is_file()


def test_a_transfer_that_breaks_off_is_resumed(hub: Hub) -> None:
    """Within the same call, from where it stopped; the other host gets the same range."""
    hub.cut[WEIGHTS] = 2
    import_(NAME, bundle=True)
    size = len(hub.files[WEIGHTS])
    first, *rest = [wanted for path, wanted in hub.asked if path == f"/large/{WEIGHTS}"]
    assert first is None
    second, third = (int(str(wanted).removeprefix("bytes=").removesuffix("-")) for wanted in rest)
    assert size // 2 - CHUNK <= second <= size // 2 < third < size


def test_a_later_call_resumes_what_an_earlier_one_left(hub: Hub) -> None:
    hub.cut[WEIGHTS] = 99
    with pytest.raises(
        CheckpointError, match=r"^model.safetensors of .* is not complete after 4 attempts \(.*goes on from there"
    ):
        import_(NAME, bundle=True)
    assert not Path("models").exists()
    hub.cut.clear()
    hub.asked.clear()
    import_(NAME, bundle=True)
    assert hub.fetched == [WEIGHTS]
    assert int(str(hub.asked[-1][1]).removeprefix("bytes=").removesuffix("-")) > (len(hub.files[WEIGHTS]) // 2)


def test_a_server_without_ranges_sends_the_whole_file_again(hub: Hub) -> None:
    hub.cut[WEIGHTS] = 1
    hub.ranges = False
    import_(NAME, bundle=True)
    assert (SNAPSHOT / WEIGHTS).read_bytes() == hub.files[WEIGHTS]


def test_a_mirror_without_sizes_and_checksums_will_do(hub: Hub) -> None:
    """What is there already is then asked for beyond its end, and fetched anew."""
    hub.checksums = False
    SNAPSHOT.mkdir(parents=True)
    (SNAPSHOT / f".{WEIGHTS}.part").write_bytes(hub.files[WEIGHTS])
    import_(NAME, bundle=True)
    assert (SNAPSHOT / WEIGHTS).read_bytes() == hub.files[WEIGHTS]


@pytest.mark.parametrize("name", ["tokenizer.json", WEIGHTS])
def test_a_file_with_another_checksum_is_removed(hub: Hub, name: str) -> None:
    whole = hub.files[name]
    SNAPSHOT.mkdir(parents=True)
    (SNAPSHOT / f".{name}.part").write_bytes(b"x" * (len(whole) // 2))
    with pytest.raises(CheckpointError, match=f"^{name} of {NAME} arrived damaged, and was removed: run the same"):
        import_(NAME, bundle=True)
    import_(NAME, bundle=True)
    assert (SNAPSHOT / name).read_bytes() == whole


def test_the_token_goes_to_the_hub_and_not_to_the_host_of_the_weights(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", " hf_secret\n")
    import_(NAME, bundle=True)
    by_path = dict(zip([path for path, _ in hub.asked], hub.tokens, strict=True))
    assert by_path.pop(f"/large/{WEIGHTS}") is None
    assert set(by_path.values()) == {"Bearer hf_secret"}


def test_the_token_of_hugging_faces_own_login_is_used(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf/token").write_text("hf_login\n")
    import_(NAME, bundle=True)
    assert hub.tokens[0] == "Bearer hf_login"


def test_a_folder_of_that_name_counts_more_and_is_named(
    hub: Hub, theirs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("openai-community").mkdir()
    theirs.rename(Path(NAME))
    import_(NAME, bundle=True)
    assert f"from the folder {NAME}" in capsys.readouterr().out
    assert hub.asked == []
    with pytest.raises(SettingError, match="which has none: leave --revision out"):
        import_(NAME, revision="main", out=Path("again"))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("gpt2", ("gpt2", None)),
        ("microsoft/DialoGPT-small", ("microsoft/DialoGPT-small", None)),
        ("https://huggingface.co/microsoft/DialoGPT-small", ("microsoft/DialoGPT-small", None)),
        ("https://huggingface.co/a/b/", ("a/b", None)),
        ("https://hf.co/a/b/tree/dev", ("a/b", "dev")),
        ("https://huggingface.co/a/b/blob/dev/config.json", ("a/b", "dev")),
        ("https://huggingface.co/", None),
        ("https://example.com/a/b", None),
        ("/srv/gpt2", None),
        ("./gpt2", None),
        ("../a", None),
        ("~/gpt2", None),
        ("a/b/c", None),
        ("a..b", None),
        ("", None),
    ],
)
def test_names_of_the_hub_are_told_from_folders(source: str, expected: tuple[str, str | None] | None) -> None:
    assert hub_name(source) == expected


def test_the_fake_hub_describes_files_as_the_real_one(hub: Hub) -> None:
    """The real one's reply for config.json and model.safetensors of openai-community/gpt2 has these fields."""
    weights = hub.file(WEIGHTS)
    assert json.loads(json.dumps(weights))["lfs"]["sha256"] == hashlib.sha256(hub.files[WEIGHTS]).hexdigest()
    assert set(weights) == {"rfilename", "size", "blobId", "lfs"}
