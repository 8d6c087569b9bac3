"""A model that the Hugging Face Hub does not deliver, or that is not whole, is refused in one sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from app.errors import CheckpointError, SettingError
from finetune.commands.import_ import import_
from tests.conftest import free_port
from tests.fakes.hugging_face_hub import NAME, WEIGHTS, Hub
from tests.finetune.formats.conftest import SNAPSHOT
from tests.finetune.formats.huggingface_folders import change, only_a_pickle


def test_what_cannot_be_imported_is_refused_before_its_weights_come(hub: Hub, theirs: Path) -> None:
    change(theirs / "config.json", model_type="llama")
    hub.take(theirs)
    with pytest.raises(CheckpointError, match='has model_type "llama" where'):
        import_(NAME, bundle=True)
    assert hub.fetched == ["config.json"]


def test_nothing_is_fetched_for_a_folder_that_may_not_be_replaced(hub: Hub) -> None:
    Path("models/gpt2").mkdir(parents=True)
    Path("models/gpt2/notes.txt").write_text("mine")
    for bundle in (True, False):
        with pytest.raises(SettingError, match="--out is models/gpt2, which exists"):
            import_(NAME, bundle=bundle)
    assert hub.asked == []


REFUSALS: dict[str, tuple[int, dict[str, str], str]] = {
    "gated": (401, {"X-Error-Code": "GatedRepo"}, "is gated: accept its conditions on http://.*/openai-community/gpt2, and set"),
    "missing or private": (401, {"X-Error-Code": "RepoNotFound"}, "no folder here and no model on .*, unless it is private, and"),
    "a wrong token": (401, {"X-Error-Message": "Invalid credentials"}, "is no folder here and no model on"),
    "too many requests": (429, {"Retry-After": "77"}, "too many requests from here: wait 77 seconds, or set HF_TOKEN"),
    "too many requests, for how long?": (429, {}, "too many requests from here: wait a few minutes"),
    "down": (503, {}, r"answered 503 for openai-community/gpt2 \(Service Unavailable\): try again later; what arrived is kept"),
    "forbidden": (403, {"X-Error-Message": "It is\tdisabled."}, r"answered 403 .* \(It is disabled\): set HF_TOKEN"),
    "gone": (404, {"X-Error-Code": "EntryNotFound"}, "lists a file of openai-community/gpt2 and does not have it"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
@pytest.mark.parametrize("where", ["refuse", "refuse_files"])
def test_a_refusal_is_one_sentence(hub: Hub, case: str, where: str) -> None:
    status, headers, sentence = REFUSALS[case]
    setattr(hub, where, (status, headers))
    with pytest.raises(CheckpointError, match=sentence) as caught:
        import_(NAME, bundle=True)
    assert one_sentence(str(caught.value))
    assert not Path("models").exists()


def one_sentence(message: str) -> bool:
    return "\n" not in message and message.endswith(".") and re.search(r"\. [A-Z]", message) is None


def test_a_token_that_may_not_read_it_is_named(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_old")
    with pytest.raises(CheckpointError, match="unless HF_TOKEN cannot read it"):
        import_("nobody/nothing")


@pytest.mark.parametrize(
    ("source", "options", "sentence"),
    [
        (NAME, {"revision": "v9"}, "has no revision 'v9': give --revision a branch, a tag or a commit"),
        (f"https://huggingface.co/{NAME}/tree/v9", {}, "has no revision 'v9'"),
        ("nobody/nothing", {}, "^nobody/nothing is no folder here and no model on 127.0.0.1:"),
    ],
)
def test_a_wrong_name_or_revision_is_refused(hub: Hub, source: str, options: dict[str, str], sentence: str) -> None:
    with pytest.raises(CheckpointError, match=sentence):
        import_(source, bundle=True, revision=options.get("revision"))


def test_a_revision_is_given_once(hub: Hub) -> None:
    with pytest.raises(SettingError, match="names a revision already, and --revision is v2: give one of them"):
        import_(f"https://huggingface.co/{NAME}/tree/v1", revision="v2")


def test_a_page_instead_of_the_hub_is_refused(hub: Hub) -> None:
    hub.page = True
    with pytest.raises(CheckpointError, match="with something else than a model's description: check HF_ENDPOINT"):
        import_(NAME, bundle=True)


def test_a_commit_that_is_none_is_refused(hub: Hub) -> None:
    """It becomes the name of a folder."""
    hub.revisions["main"] = "../../../elsewhere"
    with pytest.raises(CheckpointError, match="with something else than a model's description"):
        import_(NAME, bundle=True)


def only_a_card(folder: Path) -> None:
    (folder / WEIGHTS).unlink()


def only_config(folder: Path) -> None:
    for name in ("tokenizer.json", "vocab.json", "merges.txt"):
        (folder / name).unlink()


@pytest.mark.parametrize(
    ("alter", "sentence"),
    [
        (only_a_pickle, "has pytorch_model.bin, which can run programs, and no model.safetensors: give a --revision"),
        (only_a_card, f"^{NAME} on 127.0.0.1:\\d+ has no model.safetensors: name a GPT-2 that has one"),
        (only_config, "has no tokenizer.json, nor vocab.json and merges.txt: name a whole GPT-2"),
    ],
)
def test_a_model_without_what_import_reads_is_refused(
    hub: Hub, theirs: Path, alter: Callable[[Path], None], sentence: str
) -> None:
    alter(theirs)
    hub.take(theirs)
    with pytest.raises(CheckpointError, match=sentence):
        import_(NAME, bundle=True)
    assert WEIGHTS not in hub.fetched


def test_without_a_network_it_is_one_sentence(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(
        CheckpointError, match=r"^openai-community/gpt2 is no folder here, and 127.0.0.1:.* refuses"
    ) as caught:
        import_(NAME, bundle=True)
    assert one_sentence(str(caught.value))
    monkeypatch.setenv("HF_HUB_OFFLINE", "yes")
    with pytest.raises(CheckpointError, match="and HF_HUB_OFFLINE is set: unset it, or name the folder of a model"):
        import_(NAME, bundle=True)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "no address")
    with pytest.raises(
        CheckpointError, match=r"HF_ENDPOINT is 'no address', and should be an address such as https://"
    ):
        import_(NAME, bundle=True)


def test_a_half_fetched_model_is_not_taken_from_the_cache(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    import_(NAME, out=Path("first"))
    (SNAPSHOT / WEIGHTS).unlink()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(CheckpointError, match="is no folder here, and HF_HUB_OFFLINE is set"):
        import_(NAME, bundle=True)
