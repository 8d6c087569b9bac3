"""Reads a Hugging Face folder of a GPT-2, such as DialoGPT."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from app.engine.bundle import Hparams
from app.engine.checkpoint_folder import listed
from app.engine.profile import SamplingDefaults
from app.engine.templates import Template
from app.engine.tokenizer import Tokenizer
from app.engine.vocabulary_files import BytePairs
from app.engine.wrong_files import wrong_file
from app.errors import CheckpointError
from finetune.checkpoint import Array
from finetune.formats.huggingface import CONFIG, TOKENIZER_CONFIG, tensor_name
from finetune.formats.huggingface_config import HuggingFaceConfig, read_config
from finetune.formats.huggingface_turns import settings_in, template_of
from finetune.formats.huggingface_vocabulary import (
    compare_tokenizers,
    fit_vocabulary,
    read_tokenizer_files,
    vocabulary_files,
)
from finetune.formats.huggingface_weights import HEAD, convert_weights, read_tensors
from finetune.generation_config import read_sampling_defaults


class HuggingFaceModel(NamedTuple):
    """A model under gpt-2-simple's names. `end` is the token that ends its texts, `notes` say what is not as it was."""

    hparams: Hparams
    weights: dict[str, Array]
    byte_pairs: BytePairs
    tokenizer: Tokenizer
    end: int | None
    template: Template
    sampling: SamplingDefaults
    notes: list[str]


def read_huggingface(source: Path) -> HuggingFaceModel:
    """Read a folder. Raises CheckpointError where a file is damaged or the model is not GPT-2 as OpenAI made it."""
    refuse_other_folders(source)
    config, notes = read_config(source), list[str]()
    byte_pairs, added = read_tokenizer_files(source)
    stored = read_tensors(source, notes)
    embedding = take_embedding(stored, config, source)
    if len(embedding) != config.vocab_size:
        notes.append(
            f"{CONFIG} says vocab_size {config.vocab_size:,}; the {len(embedding):,} rows of the embedding count."
        )
    vocabulary = fit_vocabulary(byte_pairs, added, len(embedding), source, notes)
    stored[tensor_name("wte")] = embedding[: len(vocabulary.ids)]
    hparams = Hparams(
        n_vocab=len(vocabulary.ids),
        n_ctx=config.n_positions,
        n_embd=config.n_embd,
        n_head=config.n_head,
        n_layer=config.n_layer,
    )
    weights = convert_weights(stored, hparams, source, notes)
    tokenizer = Tokenizer.from_byte_pairs(vocabulary, source, vocabulary_files(source))
    compare_tokenizers(source, tokenizer)
    end = config.end_token
    known_end = end if end is not None and 0 <= end < hparams.n_vocab else None
    if settings_in(source / TOKENIZER_CONFIG).get("add_prefix_space"):
        notes.append("Left out: the space before each text (add_prefix_space). Begin prompts with one.")
    template = template_of(source, notes)
    sampling = read_sampling_defaults(source)
    return HuggingFaceModel(hparams, weights, vocabulary, tokenizer, known_end, template, sampling, notes)


def take_embedding(stored: dict[str, Array], config: HuggingFaceConfig, source: Path) -> Array:
    """The embedding, which in GPT-2 is the output head too: folders store it under either name or both.

    Raises CheckpointError where the two differ, or there is none.
    """
    head, name = stored.pop(HEAD, None), tensor_name("wte")
    embedding = stored.get(name, head)
    if embedding is None or embedding.ndim != 2 or embedding.shape[1] != config.n_embd:
        found = "not there" if embedding is None else list(embedding.shape)
        raise CheckpointError(
            f"{source}: {name} should be [{config.vocab_size}, {config.n_embd}] by config.json and is {found}: "
            "copy config.json and the weights from one model."
        )
    own = head is None and not config.tie_word_embeddings
    if own or (head is not None and not np.array_equal(head, embedding)):
        where = "by config.json (tie_word_embeddings), and the weights lack it" if own else "(lm_head)"
        raise CheckpointError(
            f"{source} has an output head of its own {where}, and GPT-2 uses its embedding: this model cannot be imported."
        )
    return embedding


def refuse_other_folders(source: Path) -> None:
    """Raises CheckpointError where `source` is not a Hugging Face folder of a whole model."""
    if source.suffix == ".gguf" and source.is_file():
        raise CheckpointError(f"{source} is a GGUF file: name a Hugging Face folder of this model, with config.json.")
    if source.is_file() and (source.parent / CONFIG).is_file():
        raise CheckpointError(f"{source} is one file of a model: name its folder, {source.parent}.")
    if found := wrong_file(source):
        raise CheckpointError(*found)
    if not source.is_dir():
        raise CheckpointError(
            f"{source} is not a folder: name a Hugging Face folder, or a model on the Hub, such as openai-community/gpt2."
        )
    if not (source / CONFIG).exists() and not (source / CONFIG).is_symlink():
        refuse_without_config(source)


def refuse_without_config(source: Path) -> None:
    """Raises CheckpointError that says what a folder without config.json is."""
    if (source / "adapter_config.json").is_file():
        raise CheckpointError(
            f"{source} is an adapter of PEFT and not a whole model: let PEFT merge it, AutoPeftModelForCausalLM"
            f".from_pretrained({str(source)!r}).merge_and_unload().save_pretrained('NEW'), and import NEW."
        )
    if list(source.glob("*.index")):
        raise CheckpointError(f"{source} is a checkpoint of gpt-2-simple already: use it as it is.")
    if (source / "manifest.json").is_file():
        raise CheckpointError(f"{source} is a bundle, which the app serves as it is: set MODEL to it.")
    inside = sorted(
        {str(path.parent) for pattern in ("*", "snapshots/*") for path in source.glob(f"{pattern}/{CONFIG}")}
    )
    if inside:
        raise CheckpointError(f"{source} has no {CONFIG}, but {listed(inside)} inside: name the folder that you mean.")
    raise CheckpointError(f"{source / CONFIG} is missing: name a Hugging Face folder, with {CONFIG} and the weights.")
