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
from tests.finetune.formats.huggingface_folders import (
    change,
    change_weights,
    only_a_pickle,
    only_merges,
    only_the_first_shard,
    remove,
    truncate,
    untie,
    with_prefix_space,
    without,
)

REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "theirs is not a folder: name a Hugging Face folder on this disk"),
    "no model": (lambda f: remove(f, "model.safetensors"), "model.safetensors is missing"),
    "a pickle": (only_a_pickle, "has pytorch_model.bin, which can run programs, and no model.safetensors: let"),
    "a shard missing": (only_the_first_shard, "is missing or damaged"),
    "truncated": (lambda f: truncate(f / "model.safetensors"), "model.safetensors is missing or damaged"),
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
        import_(theirs, tmp_path / "out")
    assert re.fullmatch(r"[^\n]+\.", str(caught.value))
    assert {path.name for path in tmp_path.iterdir()} <= {"theirs"}
