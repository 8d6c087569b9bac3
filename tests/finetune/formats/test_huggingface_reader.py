"""A GPT-2 from Hugging Face becomes a checkpoint, bit for bit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import tokenizers

from app.engine.checkpoint_folder import open_checkpoint
from app.engine.tensorflow import TensorflowEngine
from app.engine.tokenizer import END_OF_TEXT, byte_characters
from app.engine.vocabulary_files import read_byte_pairs
from app.errors import SettingError
from finetune.checkpoint import read_weights
from finetune.commands.import_ import import_
from tests.conftest import TEXTS
from tests.finetune.formats.huggingface_folders import (
    as_after_a_batch,
    as_linear_layers,
    as_old_vocabulary,
    as_other_files,
    as_shards,
    change,
    change_weights,
    rename,
    with_masks,
    with_merges_as_text,
    with_special_tokens_first,
    without_index,
    without_type,
    without_version_line,
    wrap,
    wrap_with_head,
)


def same_weights(a: Path, b: Path) -> bool:
    ours, others = read_weights(open_checkpoint(a)), read_weights(open_checkpoint(b))
    return all(np.array_equal(weight, others[name]) for name, weight in ours.items())


def test_exporting_and_importing_changes_nothing(checkpoint: Path, folder: Path, tmp_path: Path) -> None:
    import_(str(folder), out=tmp_path / "models" / "tiny")
    again = tmp_path / "models" / "tiny"
    assert same_weights(checkpoint, again)
    assert open_checkpoint(again).hparams == open_checkpoint(checkpoint).hparams
    assert json.loads((again / "encoder.json").read_text()) == json.loads((checkpoint / "encoder.json").read_text())
    assert (again / "vocab.bpe").read_text() == (checkpoint / "vocab.bpe").read_text()
    assert list(again.parent.iterdir()) == [again]


def test_gpt_2_simple_loads_an_imported_model(
    checkpoint: Path, folder: Path, tmp_path: Path, reference: TensorflowEngine, tokens: np.ndarray
) -> None:
    expected = reference.all_logits(tokens)
    import_(str(folder), out=tmp_path / "tiny")
    assert np.array_equal(TensorflowEngine(tmp_path / "tiny").all_logits(tokens), expected)


SAME: dict[str, Callable[[Path], object]] = {
    "shards": as_shards,
    "a vocabulary in two files": as_old_vocabulary,
    "merges as text": with_merges_as_text,
    "no version line": without_version_line,
    "names without their prefix": lambda folder: change_weights(
        folder, lambda weights: {name.removeprefix("transformer."): w for name, w in weights.items()}
    ),
    "torch.compile": wrap("_orig_mod."),
    "DataParallel": wrap("module."),
    "both": wrap("module._orig_mod."),
    "both, without the prefix": rename(lambda name: "_orig_mod.module." + name.removeprefix("transformer.")),
    "PEFT, merged": wrap("base_model.model."),
    "Lightning": wrap("model."),
    "Lightning and torch.compile": wrap("model._orig_mod."),
    "an attribute of their own": wrap("net.student."),
    "FSDP, layer by layer": rename(lambda name: name.replace(".h.1.", ".h.1._fsdp_wrapped_module.")),
    "activation checkpointing": rename(lambda name: name.replace(".mlp.", "._checkpoint_wrapped_module.mlp.")),
    "a wrapped head": wrap_with_head,
    "only the head": rename(lambda name: "lm_head.weight" if name == "transformer.wte.weight" else name),
    "linear layers": lambda folder: change_weights(folder, as_linear_layers),
    "64 bits": lambda folder: change_weights(
        folder, lambda weights: {name: w.astype(np.float64) for name, w in weights.items()}
    ),
    "shards without their index": without_index,
    "files formatted otherwise": as_other_files,
    "names as other models have them": lambda folder: (folder / "config.json").write_text(
        '{"vocab_size": 300, "max_position_embeddings": 64, "hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 3}'
    ),
    "a tokenizer without a type": without_type,
    "a tokenizer that cuts and fills up": as_after_a_batch,
    "masks": lambda folder: change_weights(folder, with_masks),
    "the head once more": lambda folder: change_weights(
        folder, lambda weights: weights | {"lm_head.weight": weights["transformer.wte.weight"]}
    ),
    "n_inner said": lambda folder: change(folder / "config.json", n_inner=128),
    "only what differs from the defaults": lambda folder: (folder / "config.json").write_text(
        '{"model_type": "gpt2", "vocab_size": 300, "n_positions": 64, "n_embd": 32, "n_head": 4, "n_layer": 3}'
    ),
}


@pytest.mark.parametrize("way", SAME)
def test_all_variants_of_the_format_give_the_same_model(
    checkpoint: Path, theirs: Path, tmp_path: Path, way: str
) -> None:
    SAME[way](theirs)
    import_(str(theirs), out=tmp_path / "out")
    assert same_weights(checkpoint, tmp_path / "out")
    assert (tmp_path / "out" / "vocab.bpe").read_text() == (checkpoint / "vocab.bpe").read_text()
    ours, original = open_checkpoint(tmp_path / "out").tokenizer, open_checkpoint(checkpoint).tokenizer
    assert ours.encode(TEXTS[0]) == original.encode(TEXTS[0])
    assert ours.end_of_text == original.end_of_text


@pytest.mark.parametrize("kind", [np.float16, ml_dtypes.bfloat16])
def test_16_bit_weights_keep_their_values(theirs: Path, tmp_path: Path, kind: Any) -> None:
    rounded: dict[str, np.ndarray] = {}

    def narrow(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        rounded.update({name: w.astype(kind) for name, w in weights.items()})
        return rounded

    change_weights(theirs, narrow)
    import_(str(theirs), out=tmp_path / "out")
    weights = read_weights(open_checkpoint(tmp_path / "out"))
    assert np.array_equal(weights["h1/mlp/c_fc/w"][0], rounded["transformer.h.1.mlp.c_fc.weight"].astype(np.float32))
    assert np.array_equal(weights["wte"], rounded["transformer.wte.weight"].astype(np.float32))


@pytest.mark.parametrize("where", ["tokenizer.json", "added_tokens.json", "tokenizer_config.json"])
def test_an_added_token_becomes_an_ordinary_token(theirs: Path, tmp_path: Path, where: str) -> None:
    """Such as a padding token, or one with a space, which the vocabulary spells in its own alphabet."""
    if where == "tokenizer.json":
        tokenizer = tokenizers.Tokenizer.from_file(str(theirs / where))
        tokenizer.add_tokens(["[PAD]", "[A B]"])
        tokenizer.save(str(theirs / where))
    elif where == "tokenizer_config.json":
        as_old_vocabulary(theirs)
        tokens = {"299": END_OF_TEXT, "300": "[PAD]", "301": "[A B]"}
        decoder = {number: {"content": text, "special": True} for number, text in tokens.items()}
        (theirs / where).write_text(json.dumps({"added_tokens_decoder": decoder}))
    else:
        as_old_vocabulary(theirs)
        (theirs / where).write_text('{"[PAD]": 300, "[A B]": 301}')
    change(theirs / "config.json", vocab_size=302)
    change_weights(
        theirs,
        lambda weights: weights | {"transformer.wte.weight": np.resize(weights["transformer.wte.weight"], (302, 32))},
    )
    import_(str(theirs), out=tmp_path / "out")
    found = open_checkpoint(tmp_path / "out").tokenizer
    assert len(found) == 302
    assert found.decode([300, 301]) == "[PAD][A B]"


@pytest.mark.parametrize("text", ["<|endoftext|>", "<s>", "<｜end of text｜>"])
def test_special_tokens_may_come_first(checkpoint: Path, theirs: Path, tmp_path: Path, text: str) -> None:
    """Also where their text is not spelled in the vocabulary's alphabet, with which gpt-2-simple could not decode it."""
    with_special_tokens_first(theirs, text)
    import_(str(theirs), out=tmp_path / "out")
    ours, original = open_checkpoint(tmp_path / "out"), open_checkpoint(checkpoint)
    assert ours.tokenizer.decode([0]) == text
    assert ours.tokenizer.decode(ours.tokenizer.encode(TEXTS[0])) == TEXTS[0]
    assert np.array_equal(read_weights(ours)["wte"][[0, 5, 299]], read_weights(original)["wte"][[299, 5, 0]])
    assert set("".join(read_byte_pairs(tmp_path / "out").ids)) <= set(byte_characters())


def test_an_existing_run_is_not_overwritten(checkpoint: Path, folder: Path) -> None:
    before = sorted(path.name for path in checkpoint.iterdir())
    with pytest.raises(SettingError, match="which exists: name a new folder"):
        import_(str(folder), out=checkpoint)
    assert sorted(path.name for path in checkpoint.iterdir()) == before
