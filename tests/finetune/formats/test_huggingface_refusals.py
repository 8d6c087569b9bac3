"""A Hugging Face folder that is damaged, or no GPT-2, is refused in one sentence."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app.engine.tokenizer import END_OF_TEXT
from app.errors import CheckpointError
from finetune.commands.import_ import import_
from tests.damage import link_to_nothing, point_to_lfs, show_a_page
from tests.finetune.formats.huggingface_folders import (
    as_adapter,
    change,
    change_weights,
    in_a_folder,
    only_a_pickle,
    only_a_pointer_for_a_pickle,
    only_another_vocabulary,
    only_merges,
    only_the_first_shard,
    remove,
    truncate,
    untie,
    with_adapter,
    with_prefix_space,
    without,
)

REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "theirs is not a folder: name a Hugging Face folder, or a model on the Hub"),
    "no model": (lambda f: remove(f, "model.safetensors"), "model.safetensors is missing"),
    "weights under another name": (
        lambda f: (f / "model.safetensors").rename(f / "model.fp16.safetensors"),
        "model.safetensors is missing: copy or download it too; if model.fp16.safetensors has the whole model, rename it",
    ),
    "a pickle": (only_a_pickle, "has pytorch_model.bin, which can run programs, and no model.safetensors: let"),
    "a pointer for a pickle": (
        only_a_pointer_for_a_pickle,
        "pytorch_model.bin is a Git LFS pointer, for which `git lfs pull` fetches the file itself",
    ),
    "a shard missing": (only_the_first_shard, "is missing or damaged"),
    "truncated": (lambda f: truncate(f / "model.safetensors"), "model.safetensors is missing or damaged"),
    "a pointer of Git LFS": (
        lambda f: point_to_lfs(f / "model.safetensors"),
        "model.safetensors is a Git LFS pointer, for which `git lfs pull` fetches the file itself: run it where",
    ),
    "a pointer for the vocabulary": (
        lambda f: point_to_lfs(f / "tokenizer.json"),
        "tokenizer.json is a Git LFS pointer",
    ),
    "a page": (
        lambda f: show_a_page(f / "model.safetensors"),
        "model.safetensors is a web page and not the file itself",
    ),
    "a link of the cache": (lambda f: link_to_nothing(f / "model.safetensors"), "model.safetensors is a link to"),
    "an adapter": (as_adapter, "theirs is an adapter of PEFT and not a whole model: let PEFT merge it"),
    "an adapter beside the weights": (
        lambda f: change_weights(f, with_adapter),
        "a part of an adapter beside the weights: let PEFT merge them",
    ),
    "weights of TensorFlow": (
        lambda f: (f / "model.safetensors").rename(f / "tf_model.h5"),
        r"has tf_model.h5 and no model.safetensors: let transformers write one, .*from_tf=True",
    ),
    "a trainer's folder": (
        lambda f: in_a_folder(f, "checkpoint-500", "checkpoint-1000"),
        r"has no config.json, but .*/checkpoint-1000 and .*/checkpoint-500 inside: name the folder that you mean",
    ),
    "two weights of one name": (
        lambda f: change_weights(f, lambda w: w | {"_orig_mod.wte.weight": w["transformer.wte.weight"] + 1}),
        "has two different tensors for transformer.wte.weight",
    ),
    "numbers that are not finite": (
        lambda f: change_weights(f, lambda w: w | {"transformer.ln_f.bias": np.full(32, np.nan, np.float32)}),
        "transformer.ln_f.bias holds numbers that are not finite",
    ),
    "a classifier": (
        lambda f: change_weights(f, lambda w: w | {"score.weight": np.ones((2, 32), np.float32)}),
        "has score.weight, which no GPT-2 has",
    ),
    "a copy of the weights": (
        lambda f: change_weights(f, lambda w: w | {f"ema.{name}": x + 1 for name, x in w.items()}),
        r"has two different tensors for transformer\.\S+, one of them (ema\.)?transformer",
    ),
    "no matrices of one model": (
        lambda f: change_weights(
            f, lambda w: w | {"transformer.h.1.attn.c_attn.weight": w["transformer.h.1.attn.c_attn.weight"].T}
        ),
        r"transformer.h.1.attn.c_attn.weight should be \[32, 96\] by config.json and is \[96, 32\]",
    ),
    "a head of its own said": (
        lambda f: change(f / "config.json", tie_word_embeddings=False),
        r"has an output head of its own by config.json \(tie_word_embeddings\), and the weights lack it",
    ),
    "GPT-Neo": (
        lambda f: change(f / "config.json", model_type="gpt_neo", activation_function=None, n_embd=None),
        'has model_type "gpt_neo" where',
    ),
    "OPT": (
        lambda f: (f / "config.json").write_text('{"model_type": "opt", "hidden_size": 32}'),
        'model_type "opt" where',
    ),
    "billions of layers": (lambda f: change(f / "config.json", n_layer=2**40), "is not the description of a GPT-2"),
    "fewer rows than words": (
        lambda f: change_weights(f, lambda w: w | {"transformer.wte.weight": w["transformer.wte.weight"][:280]}),
        "the embedding has 280 rows and the token .* has the id 2",
    ),
    "config truncated": (lambda f: truncate(f / "config.json"), "config.json is not the description of a GPT-2"),
    "config without a head": (lambda f: change(f / "config.json", n_head=0), "config.json is not the description"),
    "heads do not divide": (
        lambda f: change(f / "config.json", n_head=5),
        "n_embd 32, which 5 heads cannot share equally",
    ),
    "another architecture": (lambda f: change(f / "config.json", model_type="llama"), 'has model_type "llama" where'),
    "another activation": (
        lambda f: change(f / "config.json", activation_function="relu"),
        'activation_function "relu" where',
    ),
    "another epsilon": (lambda f: change(f / "config.json", layer_norm_epsilon=1e-6), "layer_norm_epsilon 1e-06 where"),
    "unscaled": (lambda f: change(f / "config.json", scale_attn_weights=False), "has scale_attn_weights false where"),
    "scaled by layer": (
        lambda f: change(f / "config.json", scale_attn_by_inverse_layer_idx=True),
        "scale_attn_by_inverse_layer_idx true where",
    ),
    "cross attention": (lambda f: change(f / "config.json", add_cross_attention=True), "add_cross_attention true"),
    "wider inside": (lambda f: change(f / "config.json", n_inner=64), "n_inner 64 where gpt-2-simple's GPT-2 has 128"),
    "a head of its own": (lambda f: change_weights(f, untie), r"has an output head of its own \(lm_head\)"),
    "a tensor missing": (
        lambda f: change_weights(f, without("transformer.h.2.ln_2.bias")),
        r"transformer.h.2.ln_2.bias should be \[32\] by config.json and is not there",
    ),
    "another shape": (
        lambda f: change(f / "config.json", n_positions=128),
        r"transformer.wpe.weight should be \[128, 32\] by config.json and is \[64, 32\]",
    ),
    "a layer too many": (
        lambda f: change(f / "config.json", n_layer=2),
        r"has transformer.h.2.attn.c_attn.bias, and 2 layers by config.json",
    ),
    "whole numbers": (
        lambda f: change_weights(f, lambda w: {name: x.astype(np.int8) for name, x in w.items()}),
        "as I8: save it in 32 or 16 bits",
    ),
    "no vocabulary": (
        lambda f: remove(f, "tokenizer.json", "vocab.json"),
        r"theirs has no tokenizer \(tokenizer.json, or vocab.json and merges.txt\): copy it",
    ),
    "WordPiece": (
        lambda f: only_another_vocabulary(f, "vocab.txt"),
        r"theirs splits text by WordPiece \(vocab.txt\) and not into GPT-2's byte pairs: this model cannot be imported",
    ),
    "SentencePiece": (lambda f: only_another_vocabulary(f, "spiece.model"), "theirs splits text by SentencePiece"),
    "no merges": (
        lambda f: remove(f, "tokenizer.json", "merges.txt"),
        "merges.txt cannot be read",
    ),
    "merges that are none": (
        lambda f: only_merges(f, b"#version: 0.2\na b c\n"),
        r"merges.txt is not a list of merges \(line 2 is not two tokens\)",
    ),
    "merges that are no text": (
        lambda f: only_merges(f, b"\xff\xfe"),
        "merges.txt is not text",
    ),
    "merges that are cut off": (
        lambda f: only_merges(f, b"\n".join((f / "merges.txt").read_bytes().split(b"\n")[:20])),
        r"theirs/merges.txt lacks the merges of \d+ tokens, such as .*: it is cut off",
    ),
    "another kind of tokenizer": (
        lambda f: change(f / "tokenizer.json", model={"type": "Unigram", "vocab": [["a", 0.0]]}),
        "tokenizer.json is not a GPT-2 tokenizer",
    ),
    "a tokenizer that splits otherwise": (with_prefix_space, "tokenizer.json does not split text as GPT-2 does"),
    "a tokenizer that the library refuses": (
        lambda f: change(f / "tokenizer.json", pre_tokenizer={"type": "Nonsense"}),
        "tokenizer.json is damaged",
    ),
    "a token under two ids": (
        lambda f: change(f / "tokenizer.json", added_tokens=[{"id": 7, "content": END_OF_TEXT}]),
        "under two ids",
    ),
}


@pytest.mark.parametrize("damage", REFUSED)
def test_a_model_that_cannot_be_imported_is_refused(theirs: Path, tmp_path: Path, damage: str) -> None:
    break_it, message = REFUSED[damage]
    break_it(theirs)
    with pytest.raises(CheckpointError, match=message) as caught:
        import_(str(theirs), out=tmp_path / "out")
    assert re.fullmatch(r"[^\n]+\.", str(caught.value))
    assert {path.name for path in tmp_path.iterdir()} <= {"theirs"}


def test_what_is_no_folder_of_hugging_face_is_named(checkpoint: Path, bundles: dict[int, Path], tmp_path: Path) -> None:
    """A file of another program, and what the other verbs write."""
    (tmp_path / "tiny.gguf").write_bytes(b"GGUF")
    (tmp_path / "tiny.tar").write_bytes(b"tiny".ljust(257, b"\0") + b"ustar")
    (tmp_path / "nothing").mkdir()
    for source, message in {
        tmp_path / "tiny.gguf": "tiny.gguf is a GGUF file: name a Hugging Face folder",
        tmp_path / "tiny.tar": "tiny.tar is an archive: unpack it",
        tmp_path / "nothing": "config.json is missing: name a Hugging Face folder",
        checkpoint: "is a checkpoint of gpt-2-simple already: use it as it is",
        bundles[8]: "is a bundle, which the app serves as it is",
    }.items():
        with pytest.raises(CheckpointError, match=message) as caught:
            import_(str(source), out=tmp_path / "out")
        assert re.fullmatch(r"[^\n]+\.", str(caught.value))


def test_one_file_of_a_model_is_not_its_folder(theirs: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"model.safetensors is one file of a model: name its folder, .*theirs\."):
        import_(str(theirs / "model.safetensors"), out=tmp_path / "out")
