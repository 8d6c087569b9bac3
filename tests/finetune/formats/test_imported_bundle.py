"""A GPT-2 from Hugging Face becomes a bundle without TensorFlow, the same that a checkpoint's export makes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app.engine.bundle import FILES, EndMarker, Hparams, open_bundle, read_manifest
from app.engine.checkpoint_folder import open_checkpoint
from app.engine.cores import cores_allowed
from app.engine.onnx import OnnxEngine
from app.engine.prompts import all_turn_tokens, alternating
from app.engine.templates import Template
from app.engine.tensorflow import TensorflowEngine
from app.errors import BundleError, SettingError
from finetune.checkpoint import read_weights
from finetune.commands.export import export
from finetune.commands.import_ import import_
from finetune.export.numpy_gpt2 import all_logits
from finetune.export.quantization import Bits
from tests.finetune.formats.huggingface_folders import as_shards, change, change_weights, remove

DIALOGPT = "{% for message in messages %}{{ message.content }}{{ eos_token }}{% endfor %}"
DIALOGPT_BY_KEY = "{%- for m in messages -%}\n    {{- m['content'] + eos_token -}}\n{%- endfor -%}\n"
CHATML = "{% for message in messages %}{{ '<|im_start|>' + message.role + message.content }}{% endfor %}"


@pytest.mark.slow
@pytest.mark.parametrize("bits", [8, 4, 32])
def test_the_files_are_those_of_import_and_export(folder: Path, tmp_path: Path, bits: Bits) -> None:
    import_(str(folder), out=tmp_path / "checkpoint")
    export(tmp_path / "checkpoint", tmp_path / "exported", bits=bits, end="299")
    import_(str(folder), out=tmp_path / "bundle", bundle=True, bits=bits)
    for name in FILES:
        assert (tmp_path / "bundle" / name).read_bytes() == (tmp_path / "exported" / name).read_bytes(), name
    ours, others = (open_bundle(tmp_path / name).manifest for name in ("bundle", "exported"))
    for fact in ("hparams", "bits", "end", "template", "files"):
        assert getattr(ours, fact) == getattr(others, fact), fact


def test_the_manifest_says_what_it_was_compared_with(folder: Path, bundles: dict[int, Path], tmp_path: Path) -> None:
    import_(str(folder), out=tmp_path / "bundle", bundle=True)
    manifest = read_manifest(tmp_path / "bundle")
    assert manifest.parity is not None
    assert manifest.parity.reference == "NumPy"
    assert 0 < manifest.parity.mean_kl < 0.05
    assert "tensorflow" not in manifest.made
    assert manifest.training == {"imported": "tiny"}
    exported = read_manifest(bundles[8])
    assert exported.parity is not None
    assert exported.parity.reference == "TensorFlow"
    assert "tensorflow" in exported.made


def test_gpt_2_in_numpy_computes_what_gpt_2_simple_does(
    checkpoint: Path, reference: TensorflowEngine, tokens: np.ndarray
) -> None:
    weights = read_weights(open_checkpoint(checkpoint))
    ours = all_logits(reference.hparams, weights, tokens)
    assert np.abs(ours - reference.all_logits(tokens)).max() < 2e-5


def test_a_bundle_that_strays_from_numpy_is_not_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check notices a wrong graph: here one layer has the weights of another."""
    import finetune.export.graph

    right = finetune.export.graph.build_graph

    def wrong(hparams: Hparams, weights: dict[str, np.ndarray], bits: int) -> object:
        return right(hparams, weights | {"h0/mlp/c_fc/w": weights["h1/mlp/c_fc/w"]}, bits)

    monkeypatch.setattr("finetune.export.graph.build_graph", wrong)
    with pytest.raises(BundleError, match="strays from NumPy"):
        import_(str(folder), out=tmp_path / "model", bundle=True)
    assert list(tmp_path.iterdir()) == []


def without_end(folder: Path) -> None:
    change(folder / "config.json", eos_token_id=None)


def with_template(template: object) -> Callable[[Path], None]:
    return lambda folder: change(folder / "tokenizer_config.json", chat_template=template)


def with_template_in_a_file(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text(DIALOGPT_BY_KEY)


def for_conversations(folder: Path) -> None:
    remove(folder, "tokenizer_config.json")
    change(folder / "config.json", task_specific_params={"conversational": {"max_length": 1000}})


FORMS: dict[str, tuple[Callable[[Path], object], Template]] = {
    "nothing": (lambda folder: None, "text"),
    "DialoGPT": (with_template(DIALOGPT), "chat"),
    "DialoGPT, otherwise spelt": (with_template(DIALOGPT_BY_KEY), "chat"),
    "one of several": (with_template([{"name": "tools", "template": CHATML}, {"name": "default", "template": DIALOGPT}]), "chat"),
    "in a file of its own": (with_template_in_a_file, "chat"),
    "before there were templates": (for_conversations, "chat"),
    "another": (with_template(CHATML), "text"),
    "only for tools": (with_template([{"name": "tools", "template": DIALOGPT}]), "text"),
    "no text": (with_template(7), "text"),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_turns_are_put_as_the_chat_template_says(
    theirs: Path, tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    alter, template = FORMS[form]
    alter(theirs)
    import_(str(theirs), out=tmp_path / "out", bundle=True)
    assert read_manifest(tmp_path / "out").template == template
    assert ("Left out: the chat template" in capsys.readouterr().out) == (form == "another")


def test_a_conversation_is_put_as_dialogpt_learned_it(theirs: Path, tmp_path: Path) -> None:
    with_template(DIALOGPT)(theirs)
    import_(str(theirs), out=tmp_path / "out", bundle=True)
    engine = OnnxEngine(open_bundle(tmp_path / "out"), cores_allowed())
    encode = engine.tokenizer.encode
    turns = alternating(["a duck", "a road", "why"])
    expected = [*encode("a duck"), 299, *encode("a road"), 299, *encode("why"), 299]
    assert all_turn_tokens(engine, turns)[-len(expected) :] == expected


def test_a_given_template_counts_more_than_the_folders(theirs: Path, tmp_path: Path) -> None:
    with_template(DIALOGPT)(theirs)
    import_(str(theirs), out=tmp_path / "out", bundle=True, template="qa")
    assert read_manifest(tmp_path / "out").template == "qa"


def test_a_model_that_names_no_end_ends_as_gpt_2_simples_do(theirs: Path, tmp_path: Path) -> None:
    without_end(theirs)
    import_(str(theirs), out=tmp_path / "out", bundle=True)
    assert read_manifest(tmp_path / "out").end == EndMarker(text="<|endoftext|>")


def test_shards_in_16_bits_become_the_same_bundle_as_one_file(theirs: Path, tmp_path: Path) -> None:
    change_weights(theirs, lambda weights: {name: w.astype(np.float16) for name, w in weights.items()})
    import_(str(theirs), out=tmp_path / "whole", bundle=True)
    as_shards(theirs)
    import_(str(theirs), out=tmp_path / "shards", bundle=True)
    assert read_manifest(tmp_path / "whole").files == read_manifest(tmp_path / "shards").files


def test_the_bundles_folder_is_named_after_the_source_and_replaced(
    theirs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    import_("theirs", bundle=True)
    (tmp_path / "models/theirs/CARD.md").write_text("kept")
    import_("theirs", bundle=True, bits=4)
    assert read_manifest(tmp_path / "models/theirs").bits == 4
    assert (tmp_path / "models/DEFAULT").read_text() == "theirs\n"
    assert (tmp_path / "models/theirs/CARD.md").read_text() == "kept"
    with pytest.raises(SettingError, match="which exists"):
        import_("theirs")
    with pytest.raises(SettingError, match="which exists and is not a bundle"):
        import_("theirs", out=Path("theirs"), bundle=True)


@pytest.mark.parametrize(("option", "value"), [("bits", 4), ("template", "qa")])
def test_options_of_a_bundle_are_refused_for_a_checkpoint(
    folder: Path, tmp_path: Path, option: str, value: object
) -> None:
    with pytest.raises(SettingError, match=f"^--{option} is {value}, and a checkpoint has none: add --bundle"):
        import_(str(folder), out=tmp_path / "out", **{option: value})  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()
