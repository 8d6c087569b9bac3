"""Any mixture of the forms in which people have a GPT-2 is imported as the same model."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings

from app.engine.checkpoint_folder import open_checkpoint
from finetune.checkpoint import read_weights
from finetune.commands.import_ import import_
from tests.finetune.formats.huggingface_folders import as_linear_layers, as_shards, change, change_weights

WRAPPERS = ["_orig_mod.", "module.", "model.", "base_model.model.", "pretrained_model.", "_forward_module."]
HEADS = ["none", "beside the embedding", "instead of the embedding"]


@dataclass(frozen=True)
class Form:
    """How a folder differs from one that transformers would write today."""

    wrappers: list[str]
    prefix: bool
    head: str
    linear: bool
    shards: bool
    dtype: type[np.floating]
    rows: int
    """Rows of the embedding after those of the vocabulary."""
    added: list[str]

    def apply(self, folder: Path) -> None:
        tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.add_special_tokens(self.added)
        tokenizer.save(str(folder / "tokenizer.json"))
        change(folder / "config.json", vocab_size=300 + self.rows)
        change_weights(folder, self.weights)
        if self.shards:
            as_shards(folder)

    def weights(self, weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        wte = weights["transformer.wte.weight"]
        weights["transformer.wte.weight"] = np.concatenate([wte, np.full((self.rows, 32), 0.5, np.float32)])
        if self.linear:
            weights = as_linear_layers(weights)
        if self.head != "none":
            weights["lm_head.weight"] = weights["transformer.wte.weight"]
        if self.head == "instead of the embedding":
            del weights["transformer.wte.weight"]
        return {self.name(name): w.astype(self.dtype) for name, w in weights.items()}

    def name(self, name: str) -> str:
        return "".join(self.wrappers) + (name if self.prefix else name.removeprefix("transformer."))


forms = st.builds(
    Form,
    wrappers=st.lists(st.sampled_from(WRAPPERS), max_size=3),
    prefix=st.booleans(),
    head=st.sampled_from(HEADS),
    linear=st.booleans(),
    shards=st.booleans(),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    rows=st.integers(0, 12),
    # Brackets, so that no ordinary text contains one of them.
    added=st.lists(st.text("PAD<|> éß鸭\n", max_size=6).map("[{}]".format), max_size=6, unique=True),
)


@pytest.mark.slow
@settings(max_examples=30)
@given(forms)
def test_every_form_is_the_same_model(
    checkpoint: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory, form: Form
) -> None:
    place = tmp_path_factory.mktemp("forms")
    theirs = Path(shutil.copytree(folder, place / "theirs"))
    form.apply(theirs)
    known = tokenizers.Tokenizer.from_file(str(theirs / "tokenizer.json"))
    import_(str(theirs), out=place / "out")
    ours, original = open_checkpoint(place / "out"), read_weights(open_checkpoint(checkpoint))
    kept = min(300 + form.rows, known.get_vocab_size())
    assert ours.hparams.n_vocab == kept
    weights = read_weights(ours)
    rounded = {name: w.astype(form.dtype).astype(np.float32) for name, w in original.items()}
    assert np.array_equal(weights.pop("wte")[:300], rounded.pop("wte"))
    assert all(np.array_equal(w, rounded[name]) for name, w in weights.items())
    assert [ours.tokenizer.decode([token]) for token in range(299, kept)] == [
        known.id_to_token(t) for t in range(299, kept)
    ]
    shutil.rmtree(place)
