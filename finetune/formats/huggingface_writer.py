"""Writes a GPT-2 as a Hugging Face folder that transformers loads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.engine.bundle import EndMarker, Hparams
from app.engine.checkpoint_folder import CheckpointFolder
from app.engine.profile import Profile
from app.engine.templates import Template
from app.engine.vocabulary_files import read_byte_pairs, write_byte_pairs
from finetune.checkpoint import Array
from finetune.formats.chat_templates import BEGIN, jinja_template
from finetune.formats.huggingface import CONFIG, MERGES, TOKENIZER, TOKENIZER_CONFIG, VOCABULARY, WEIGHTS, tensor_name
from finetune.generation_config import GENERATION_CONFIG, generation_config

SPECIAL_TOKENS = "special_tokens_map.json"
FILES = (CONFIG, GENERATION_CONFIG, WEIGHTS, TOKENIZER, TOKENIZER_CONFIG, SPECIAL_TOKENS, VOCABULARY, MERGES)
PRODUCER = {"format": "pt", "producer": "gpt-2-cloud-run"}


def is_export(folder: Path) -> bool:
    """Whether `export` wrote this folder. Other people's models are not replaced."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / WEIGHTS, framework="numpy") as file:
            return bool(file.metadata() == PRODUCER)
    except (SafetensorError, OSError):
        return False


def write_huggingface(
    source: CheckpointFolder,
    weights: Mapping[str, Array],
    folder: Path,
    end: EndMarker,
    end_token: int,
    profile: Profile,
) -> None:
    """Write FILES. `end_token` ends a text; `end` is how the model learned that."""
    from safetensors.numpy import save_file

    tensors = {tensor_name(name): w[0] if name.endswith("/w") else w for name, w in weights.items()}
    save_file(tensors, folder / WEIGHTS, PRODUCER)
    (folder / WEIGHTS).chmod(0o644)  # safetensors writes it for the owner alone.
    marks = {"bos_token_id": end_token, "eos_token_id": end_token}
    write_json(folder / CONFIG, model_config(source.hparams) | marks)
    write_json(folder / GENERATION_CONFIG, marks | generation_config(profile.sampling))
    write_byte_pairs(read_byte_pairs(source.folder), folder, (VOCABULARY, MERGES))
    write_tokenizer(source, folder, end_token, add_bos=end.token is not None, template=profile.template)


def write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def model_config(hparams: Hparams) -> dict[str, Any]:
    """config.json, with every field that transformers writes for a GPT-2."""
    return {
        "activation_function": "gelu_new",
        "add_cross_attention": False,
        "architectures": ["GPT2LMHeadModel"],
        "attn_pdrop": 0.1,
        "dtype": "float32",
        "embd_pdrop": 0.1,
        "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-5,
        "model_type": "gpt2",
        "n_ctx": hparams.n_ctx,
        "n_embd": hparams.n_embd,
        "n_head": hparams.n_head,
        "n_inner": None,
        "n_layer": hparams.n_layer,
        "n_positions": hparams.n_ctx,
        "pad_token_id": None,
        "reorder_and_upcast_attn": False,
        "resid_pdrop": 0.1,
        "scale_attn_by_inverse_layer_idx": False,
        "scale_attn_weights": True,
        "summary_activation": None,
        "summary_first_dropout": 0.1,
        "summary_proj_to_labels": True,
        "summary_type": "cls_index",
        "summary_use_proj": True,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
        "use_cache": True,
        "vocab_size": hparams.n_vocab,
    }


def write_tokenizer(source: CheckpointFolder, folder: Path, end_token: int, add_bos: bool, template: Template) -> None:
    """Write the tokenizer's files. With `add_bos` it puts the end token before each text, where training put it."""
    import tokenizers
    from tokenizers.processors import TemplateProcessing

    source.tokenizer.save(folder / TOKENIZER)
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / TOKENIZER))
    mark = tokenizer.id_to_token(end_token)
    assert mark is not None  # open_checkpoint refuses a vocabulary with gaps.
    tokenizer.add_special_tokens([tokenizers.AddedToken(mark, special=True, normalized=False)])
    if add_bos:
        tokenizer.post_processor = TemplateProcessing(single=f"{mark} $A", special_tokens=[(mark, end_token)])
    tokenizer.save(str(folder / TOKENIZER))
    marks = {"bos_token": mark, "eos_token": mark, "unk_token": mark}
    settings = marks | {
        "tokenizer_class": "GPT2Tokenizer",
        "model_max_length": source.hparams.n_ctx,
        "add_prefix_space": False,
        "add_bos_token": add_bos,
        "errors": "replace",
    }
    if (chat := jinja_template(template, mark)) is not None:
        settings["chat_template"] = BEGIN + chat if add_bos else chat
    write_json(folder / SPECIAL_TOKENS, dict(marks))
    write_json(folder / TOKENIZER_CONFIG, settings)
