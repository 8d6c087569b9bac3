"""Reads the vocabulary of a Hugging Face folder and fits it to the rows of the embedding."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal

import msgspec

from app.engine.checkpoint_folder import listed
from app.engine.json_text import shortened
from app.engine.tokenizer import END_OF_TEXT, Tokenizer, byte_characters
from app.engine.vocabulary_files import BytePairs, read_byte_pairs
from app.errors import CheckpointError
from finetune.formats.huggingface import ADDED_TOKENS, MERGES, TOKENIZER, TOKENIZER_CONFIG, VOCABULARY, read_json

# Words, contractions, numbers, punctuation, runs of spaces, other scripts, other forms of a letter: wherever tokenizers differ.
PROBE = "Why didn't 3 ducks\n\n  cross, at 10:45?\t12345 DON'T  Żółć e\u0301 ﬁ Ａ\u00a0鸭子 🦆\r\n "
# Files of other tokenizers, which Chinese, Japanese and Swedish models have.
OTHER_KINDS = {
    "vocab.txt": "WordPiece",
    "spiece.model": "SentencePiece",
    "tokenizer.model": "SentencePiece",
    "sentencepiece.bpe.model": "SentencePiece",
}
SHOWN = 5
"""Tokens to name in a sentence."""


class AddedToken(msgspec.Struct, frozen=True):
    """A token that was added to the byte pairs, such as a padding token."""

    id: int
    content: str


class TokenContent(msgspec.Struct, frozen=True):
    """A token as tokenizer_config.json lists it, under its id."""

    content: str


class TokenizerSettings(msgspec.Struct, frozen=True):
    """The parts of a tokenizer_config.json that say which tokens there are."""

    added_tokens_decoder: dict[int, TokenContent] = {}


class TokenizerModel(msgspec.Struct, frozen=True):
    vocab: dict[str, int]
    merges: list[str | tuple[str, str]]
    type: Literal["BPE"] = "BPE"
    """Not said in files that were written before there were other types."""


class TokenizerFile(msgspec.Struct, frozen=True):
    """The parts of a tokenizer.json that a checkpoint keeps."""

    model: TokenizerModel
    added_tokens: list[AddedToken] = []


def read_tokenizer_files(source: Path) -> tuple[BytePairs, list[AddedToken]]:
    """The byte pairs and the added tokens, from tokenizer.json or the older files. Raises CheckpointError."""
    if is_there(source / TOKENIZER):
        file = read_json(source / TOKENIZER, TokenizerFile, "a GPT-2 tokenizer")
        return BytePairs(file.model.vocab, [pair_of(merge, source) for merge in file.model.merges]), file.added_tokens
    if not is_there(source / VOCABULARY):
        refuse_without_vocabulary(source)
    return read_byte_pairs(source, (VOCABULARY, MERGES)), read_added_tokens(source)


def vocabulary_files(source: Path) -> tuple[str, str]:
    """The names of the files from which the tokens and the merges are read."""
    return (TOKENIZER, TOKENIZER) if is_there(source / TOKENIZER) else (VOCABULARY, MERGES)


def read_added_tokens(source: Path) -> list[AddedToken]:
    """The added tokens beside the older files: in a list of their own, in the tokenizer's settings, or in both."""
    added: dict[str, int] = {}
    if is_there(path := source / TOKENIZER_CONFIG):
        decoder = read_json(path, TokenizerSettings, "a tokenizer's settings").added_tokens_decoder
        added |= {token.content: number for number, token in decoder.items()}
    if is_there(path := source / ADDED_TOKENS):
        added |= read_json(path, dict[str, int], "a list of tokens")
    return [AddedToken(number, text) for text, number in added.items()]


def refuse_without_vocabulary(source: Path) -> None:
    """Raises CheckpointError that says which tokenizer is missing, or that there is one of another kind."""
    if other := next((name for name in OTHER_KINDS if is_there(source / name)), None):
        raise CheckpointError(
            f"{source} splits text by {OTHER_KINDS[other]} ({other}) and not into GPT-2's byte pairs: "
            "this model cannot be imported."
        )
    raise CheckpointError(
        f"{source} has no tokenizer ({TOKENIZER}, or {VOCABULARY} and {MERGES}): copy it from the model that was trained; "
        f"if that was OpenAI's, AutoTokenizer.from_pretrained('gpt2').save_pretrained({str(source)!r}) writes it."
    )


def is_there(path: Path) -> bool:
    """Also if it is a link to a file that is not there, which is then refused by name."""
    return path.exists() or path.is_symlink()


def pair_of(merge: str | tuple[str, str], source: Path) -> tuple[str, str]:
    parts = merge.split(" ") if isinstance(merge, str) else merge
    if len(parts) != 2:
        raise CheckpointError(f"{source / TOKENIZER} has the merge {merge!r}, which is not two tokens: copy it again.")
    return parts[0], parts[1]


def fit_vocabulary(
    byte_pairs: BytePairs, added: list[AddedToken], rows: int, source: Path, notes: list[str]
) -> BytePairs:
    """The vocabulary with an id from 0 on for as many rows of the embedding as have a token.

    Left out, and noted: tokens without a row that no text is ever split into, such as a padding token that training never used;
    and rows after the last token, which pad the embedding. Raises CheckpointError where vocabulary and embedding do not fit.
    """
    ids = spell_added(byte_pairs.ids, added, source)
    whole = BytePairs(ids, byte_pairs.merges)
    outside = set(whole.outside)
    missing = [token for token, number in ids.items() if number >= rows]
    if lost := [token for token in missing if token not in outside]:
        raise CheckpointError(
            f"{source}: the embedding has {rows:,} rows and the token {lost[0]!r} has the id {ids[lost[0]]:,}: "
            "copy the tokenizer and the weights from one model."
        )
    kept = {token: number for token, number in ids.items() if number < rows}
    fill_gaps(kept, outside, source, notes)
    if missing:
        written = {spell(token.content): token.content for token in added}
        names = [written.get(token, token) for token in missing]
        notes.append(f"Left out: {count(names, 'token')}, for which the embedding has no row.")
    if len(kept) < rows:
        notes.append(f"Left out: the last {rows - len(kept):,} rows of the embedding, which have no token.")
    special = [token.content for token in added if token.id < rows and token.content != END_OF_TEXT]
    if special:
        notes.append(f"In a prompt, {count(special, 'added token')} will be read as ordinary text.")
    return BytePairs(kept, byte_pairs.merges)


def count(tokens: list[str], noun: str) -> str:
    """How many tokens, and which."""
    more = [f"{len(tokens) - SHOWN:,} more"] if len(tokens) > SHOWN else []
    plural = "s" if len(tokens) > 1 else ""
    return f"the {noun}{plural} {listed([*tokens[:SHOWN], *more])}"


def spell(text: str) -> str:
    """A text in the alphabet of GPT-2's vocabulary, where a space is Ġ."""
    alphabet = byte_characters()
    return "".join(alphabet[byte] for byte in text.encode())


def spell_added(ids: dict[str, int], added: list[AddedToken], source: Path) -> dict[str, int]:
    """The ids with the added tokens among them. Raises CheckpointError."""
    spelled = dict(ids)
    for token in added:
        if spelled.get(token.content) == token.id:
            del spelled[token.content]  # Some tokenizers list it among the byte pairs too, as it is.
        if spelled.setdefault(spell(token.content), token.id) != token.id:
            raise CheckpointError(f"{source}: the tokenizer has {token.content!r} under two ids: copy it again.")
    if double := [number for number, times in Counter(spelled.values()).items() if times > 1 or number < 0]:
        raise CheckpointError(
            f"{source}: the tokenizer has the id {double[0]} below 0 or for several tokens: copy it again."
        )
    return spelled


def fill_gaps(ids: dict[str, int], outside: set[str], source: Path, notes: list[str]) -> None:
    """Name the ids between added tokens that have no token. A gap among the byte pairs is a damaged file: CheckpointError."""
    gaps = sorted(set(range(max(ids.values(), default=-1) + 1)) - set(ids.values()))
    last = max((number for token, number in ids.items() if token not in outside), default=0)
    if gaps and gaps[0] < last:
        raise CheckpointError(f"{source}: the tokenizer has no token with the id {gaps[0]}: copy it again.")
    ids |= {f"[unused{number}]": number for number in gaps}
    if gaps:
        notes.append(f"Added: names for {len(gaps):,} ids without a token, such as [unused{gaps[0]}].")


def compare_tokenizers(source: Path, ours: Tokenizer) -> None:
    """Raises CheckpointError where tokenizer.json splits text differently from `ours`."""
    import tokenizers

    if not (path := source / TOKENIZER).is_file():
        return
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
        # The file remembers how a batch was cut and filled up last.
        tokenizer.no_truncation()
        tokenizer.no_padding()
        theirs = tokenizer.encode(PROBE, add_special_tokens=False).ids
    except Exception as error:  # The tokenizers library raises bare Exceptions.
        raise CheckpointError(f"{path} is damaged ({shortened(str(error))}): copy it again.") from None
    if theirs != ours.encode(PROBE):
        raise CheckpointError(f"{path} does not split text as GPT-2 does: this model cannot be imported.")
