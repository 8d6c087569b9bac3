"""GPT-2's byte-pair vocabulary (encoder.json, vocab.bpe): learned, or read and checked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from app.engine.tokenizer import END_OF_TEXT, Tokenizer, byte_characters
from app.engine.vocabulary_files import VOCABULARY_FILES, BytePairs, read_byte_pairs, write_byte_pairs
from app.errors import CheckpointError, DataError

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
    folder.mkdir(parents=True, exist_ok=True)
    write_byte_pairs(BytePairs(ids, [(left, right) for left, right in learned["merges"]]), folder)


def read_vocabulary(folder: Path, otherwise: str) -> Tokenizer:
    """Read a vocabulary and check that it encodes every byte and has an end of text.

    Raises DataError naming what is missing. `otherwise` tells how the command can do without this vocabulary.
    """
    for name in VOCABULARY_FILES:
        if not (folder / name).exists() and not (folder / name).is_symlink():
            raise DataError(
                f"{folder / name} is missing: `python -m finetune download 124M` fetches GPT-2's vocabulary, "
                f"--vocabulary names another folder, and {otherwise}."
            )
    try:
        tokenizer = Tokenizer.from_gpt2(folder)
    except CheckpointError as error:
        raise DataError(str(error)) from None
    if tokenizer.end_of_text is None:
        raise DataError(f"{folder / 'encoder.json'} has no {END_OF_TEXT}, which ends every document.")
    refuse_incomplete_alphabet(folder / "encoder.json", read_byte_pairs(folder).ids)
    return tokenizer


def refuse_incomplete_alphabet(path: Path, ids: Mapping[str, int]) -> None:
    """Raises DataError unless the tokens have every character of GPT-2's alphabet, which stand for the bytes, and no other."""
    alphabet = set(byte_characters())
    if lacking := sorted(alphabet - ids.keys()):
        raise DataError(f"{path} lacks {len(lacking)} bytes, such as {lacking[0]!r}, so it cannot encode every text.")
    if foreign := [token for token in ids if not alphabet.issuperset(token)]:
        raise DataError(f"{path} has the token {foreign[0]!r}, which is not spelled in GPT-2's alphabet.")


def vocabulary_differs(one: Path, other: Path) -> bool:
    """Whether the vocabularies of two folders, such as a checkpoint and prepared data, are not the same.

    How their files are formatted does not count.
    """
    return read_byte_pairs(one) != read_byte_pairs(other)
