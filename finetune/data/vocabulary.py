"""GPT-2's byte-pair vocabulary (encoder.json, vocab.bpe): learned, or read and checked."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from app.engine.checkpoint_folder import VOCABULARY_FILES
from app.engine.tokenizer import END_OF_TEXT, Tokenizer
from app.errors import DataError

SMALLEST = 257
"""256 bytes and the end of text: the smallest vocabulary that can encode any text."""


def learn_vocabulary(folder: Path, texts: Iterable[str], size: int) -> None:
    """Learn a byte-pair vocabulary of at most `size` tokens and write it as gpt-2-simple's encoder.json and vocab.bpe."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=size - 1, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    learned = json.loads(tokenizer.to_str())["model"]
    # The end of text comes last, as in GPT-2's own vocabulary.
    ids = learned["vocab"] | {END_OF_TEXT: len(learned["vocab"])}
    merges = [" ".join(pair) for pair in learned["merges"]]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "encoder.json").write_text(json.dumps(ids), encoding="utf-8")
    (folder / "vocab.bpe").write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8")


def read_vocabulary(folder: Path, otherwise: str) -> Tokenizer:
    """Read a vocabulary and check that it encodes every byte and has an end of text.

    Raises DataError naming what is missing. `otherwise` tells how the command can do without this vocabulary.
    """
    for name in VOCABULARY_FILES:
        if not (folder / name).is_file():
            raise DataError(
                f"{folder / name} is missing: `python -m finetune download 124M` fetches GPT-2's vocabulary, "
                f"--vocabulary names another folder, and {otherwise}."
            )
    try:
        tokenizer = Tokenizer.from_gpt2(folder)
        known = {tokenizer.bytes_of(token) for token in range(len(tokenizer))}
    except Exception as error:  # The tokenizers library raises bare Exceptions for a vocabulary it cannot use.
        raise DataError(f"{folder} does not hold a GPT-2 vocabulary ({type(error).__name__}: {error}).") from None
    if tokenizer.end_of_text is None:
        raise DataError(f"{folder / 'encoder.json'} has no {END_OF_TEXT}, which ends every document.")
    if b"" in known or not {bytes([byte]) for byte in range(256)} <= known:
        raise DataError(f"{folder / 'encoder.json'} lacks ids or bytes, so it cannot encode every text.")
    return tokenizer


def vocabulary_differs(one: Path, other: Path) -> bool:
    """Whether the vocabulary files of two folders, such as a checkpoint and prepared data, are not the same."""
    return any((one / name).read_bytes() != (other / name).read_bytes() for name in VOCABULARY_FILES)
