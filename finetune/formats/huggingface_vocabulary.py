"""Converts the vocabulary of a Hugging Face folder into encoder.json and vocab.bpe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import msgspec

from app.engine.bundle import Hparams
from app.engine.checkpoint_folder import VOCABULARY_FILES, CheckpointFolder
from app.engine.tokenizer import byte_characters
from app.errors import CheckpointError
from finetune.formats.huggingface import MERGES, TOKENIZER, VOCABULARY, read_json
from finetune.formats.merges import VERSION_LINE, read_merges

# Words, contractions, numbers, punctuation, runs of spaces and other scripts: wherever pre-tokenizers differ.
PROBE = "Why didn't 3 ducks\n\n  cross, at 10:45?  Żółć 鸭子 🦆 "


class AddedToken(msgspec.Struct, frozen=True):
    """A token that was added to the byte pairs, such as a padding token."""

    id: int
    content: str


class BytePairs(msgspec.Struct, frozen=True):
    type: Literal["BPE"]
    vocab: dict[str, int]
    merges: list[str | tuple[str, str]]


class TokenizerFile(msgspec.Struct, frozen=True):
    """The parts of a tokenizer.json that a checkpoint keeps."""

    model: BytePairs
    added_tokens: list[AddedToken] = []


def write_vocabulary(source: Path, folder: Path, hparams: Hparams) -> None:
    """Write encoder.json and vocab.bpe. Raises CheckpointError unless the ids are 0 to n_vocab - 1, each once."""
    vocabulary, merges, added = read_tokenizer_files(source)
    for token in added:
        add_token(vocabulary, token, source)
    if sorted(vocabulary.values()) != list(range(hparams.n_vocab)):
        raise CheckpointError(
            f"{source}: the tokenizer has {len(vocabulary)} tokens and config.json {hparams.n_vocab} (vocab_size), "
            "and each needs an id of its own below that: copy both from one model."
        )
    by_id = dict(sorted(vocabulary.items(), key=lambda item: item[1]))
    encoder, pairs = (folder / name for name in VOCABULARY_FILES)
    encoder.write_text(json.dumps(by_id), encoding="utf-8")
    pairs.write_text("\n".join([VERSION_LINE, *merges, ""]), encoding="utf-8")


def add_token(vocabulary: dict[str, int], token: AddedToken, source: Path) -> None:
    """Spell an added token in the vocabulary's alphabet, where a space is Ġ, and add it. Raises CheckpointError."""
    alphabet = byte_characters()
    text = "".join(alphabet[byte] for byte in token.content.encode())
    if vocabulary.setdefault(text, token.id) != token.id:
        raise CheckpointError(f"{source}: the tokenizer has {token.content!r} under two ids: copy the folder again.")


def read_tokenizer_files(source: Path) -> tuple[dict[str, int], list[str], list[AddedToken]]:
    """The ids of the tokens, the merges in order, and the added tokens."""
    if (source / TOKENIZER).is_file():
        file = read_json(source / TOKENIZER, TokenizerFile, "a GPT-2 tokenizer")
        merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in file.model.merges]
        return file.model.vocab, merges, file.added_tokens
    vocabulary = read_json(source / VOCABULARY, dict[str, int], "a vocabulary")
    path = source / "added_tokens.json"
    added = read_json(path, dict[str, int], "a list of tokens") if path.is_file() else {}
    return vocabulary, read_merges(source / MERGES), [AddedToken(number, text) for text, number in added.items()]


def compare_tokenizers(source: Path, checkpoint: CheckpointFolder) -> None:
    """Raises CheckpointError where tokenizer.json splits text differently from the checkpoint's vocabulary."""
    import tokenizers

    if not (path := source / TOKENIZER).is_file():
        return
    try:
        theirs = tokenizers.Tokenizer.from_file(str(path)).encode(PROBE, add_special_tokens=False).ids
    except Exception:  # The tokenizers library raises bare Exceptions.
        raise CheckpointError(f"{path} is damaged: copy the whole folder again.") from None
    if theirs != checkpoint.tokenizer.encode(PROBE):
        raise CheckpointError(f"{path} does not split text as GPT-2 does: this model cannot be imported.")
