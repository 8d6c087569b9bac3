"""`prepare`: turn text into the folder of tokens that `train` reads.

    python -m finetune prepare comments.jsonl jokes.csv --out data/NAME

Text is read and written block by block, so a corpus may be larger than memory. What is empty, too short or said before
is dropped and counted. Which documents are held out depends on nothing but their own text: as the corpus grows, a
document stays where it was.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.metadata
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from app.engine.bundle import Template
from app.engine.checkpoint_folder import VOCABULARY_FILES
from app.engine.tokenizer import END_OF_TEXT, Tokenizer
from app.errors import DataError, SettingError
from finetune.data.documents import Document, text_of
from finetune.data.near_duplicates import copies, near_copies
from finetune.data.prepared import FORMAT, DataDescription, SplitWriter
from finetune.data.sources import SUFFIXES, Source, Split, find_files
from finetune.data.spool import Spool, write_spool
from finetune.data.vocabulary import SMALLEST, learn_vocabulary, read_vocabulary
from finetune.folder import refuse_overwriting, replace_folder, written_aside

REASONS = ("empty", "duplicate", "near duplicate", "too short")
# From as many documents on, one is held out even where none falls to the validation by its hash.
ENOUGH = 10
# What a disk, a quota and a limit on files say when there is no room.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# The text once more while it is worked on, its signatures, and its tokens and roles, by the size of the inputs.
ROOM = 4
BAR = "{l_bar}{bar:20}| {n_fmt}/{total_fmt} [{elapsed}]"


class TokenCounts(NamedTuple):
    """What went into the files."""

    documents: dict[str, int]
    tokens: dict[str, int]
    too_short: int
    sha256: str


def prepare(
    inputs: list[str],
    out: Path,
    vocabulary: Path = Path("models/124M"),
    vocabulary_size: int | None = None,
    column: str | None = None,
    split: Split = "marks",
    template: Template = "text",
    encoding: str = "utf-8",
    validation: float = 0.02,
    near_duplicates: float = 0.85,
    min_tokens: int = 1,
) -> None:
    """Turn text into the folder of tokens that train reads.

    Args:
        inputs: files, folders or patterns: .txt, .csv, .tsv, .jsonl, or .npz from gpt-2-simple's encode_dataset
        out: the folder to write, such as data/NAME; what was prepared there before is replaced
        vocabulary: the folder with the encoder.json and vocab.bpe of the model to be trained
        vocabulary_size: learn a new vocabulary of so many tokens from this text, to train a model from nothing
        column: the column of .csv and .tsv to read; without it body, else text, else the only one
        split: where a .txt or .npz is cut into documents: at gpt-2-simple's marks, or also at lines or blank_lines
        template: how the turns of a .jsonl are put: text (lines), qa ([QUESTION] … [ANSWER] …) or chat (ends between)
        encoding: what the text is encoded in, such as utf-8 or latin-1
        validation: the share of documents to hold out, 0 to 0.5
        near_duplicates: from what likeness on a document is dropped for an earlier one, 0.5 to 1; 0 keeps all but copies
        min_tokens: documents of fewer tokens are dropped
    """
    options = {
        "vocabulary": None if vocabulary_size else str(vocabulary), "vocabulary_size": vocabulary_size, "column": column,
        "split": split, "encoding": encoding, "validation": validation, "near_duplicates": near_duplicates,
        "min_tokens": min_tokens,
    }  # fmt: skip
    refuse_values(vocabulary_size, encoding, validation, near_duplicates, min_tokens)
    refuse_overwriting(out, ours=(out / "description.json").is_file(), kind="prepared data")
    paths, passed = find_files(inputs)
    kinds = {path.suffix.lower() for path in paths}
    refuse_unused(kinds, column, split)
    given = (
        read_vocabulary(vocabulary, "--vocabulary_size N learns one from this text")
        if vocabulary_size is None or ".npz" in kinds
        else None
    )
    size = sum(path.stat().st_size for path in paths)
    counts: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
    with room_for(out, size), written_aside(out) as aside:
        with bar("read", size) as progress:
            sources = (Source(path, column, split, template, encoding, given, progress.update) for path in paths)
            documents = (document for source in sources for document in source.documents())
            write_spool(aside / "spool", without_empty(documents, counts), signed=near_duplicates > 0)
        with closing(Spool(aside / "spool")) as spool:
            read = len(spool) + counts["empty"]
            kept = sift(spool, near_duplicates, counts)
            refuse_nothing(int(kept.sum()), counts)
            tokenizer = write_vocabulary(aside, vocabulary, vocabulary_size, spool, kept)
            held = hold_out(spool.keys, kept, validation)
            written = write_tokens(aside, spool, kept, held, tokenizer, min_tokens)
        shutil.rmtree(aside / "spool")
        counts["too short"] = written.too_short
        refuse_nothing(written.documents["train"], counts)
        description = DataDescription(
            format=FORMAT,
            sources=[str(path) for path in paths],
            corpus_sha256=written.sha256,
            template=template,
            n_vocab=len(tokenizer),
            end_of_text=end_of_text(tokenizer),
            read=read,
            dropped=dict(counts),
            documents=written.documents,
            tokens=written.tokens,
            options=options,
            made=made(),
        )
        (aside / "description.json").write_bytes(
            msgspec.json.format(msgspec.json.encode(description), indent=2) + b"\n"
        )
        replace_folder(aside, out, files=[path.name for path in aside.iterdir()])
    print(summary(out, description, passed))


def refuse_values(
    vocabulary_size: int | None, encoding: str, validation: float, near_duplicates: float, min_tokens: int
) -> None:
    # Written so that NaN is refused too.
    if not 0 <= validation <= 0.5:
        raise SettingError(f"--validation is {validation}, and should be a share from 0 to 0.5.")
    if near_duplicates and not 0.5 <= near_duplicates <= 1:
        raise SettingError(
            f"--near_duplicates is {near_duplicates}, and should be a likeness from 0.5 to 1, or 0 to keep what is alike."
        )
    if min_tokens < 1:
        raise SettingError(f"--min_tokens is {min_tokens}, and should be 1 or more.")
    if vocabulary_size is not None and vocabulary_size < SMALLEST:
        raise SettingError(
            f"--vocabulary_size is {vocabulary_size}, and should be {SMALLEST} or more: 256 bytes and the end of text."
        )
    try:
        "a".encode(encoding)
    except (LookupError, UnicodeError):
        raise SettingError(
            f"--encoding is {encoding!r}, and should be a text encoding that Python knows, such as latin-1."
        ) from None


def refuse_unused(kinds: set[str], column: str | None, split: Split) -> None:
    if column is not None and not kinds & {".csv", ".tsv"}:
        raise SettingError(f"--column is {column!r}, and no input is a .csv or .tsv: leave it out.")
    if split != "marks" and not kinds & {".txt", ".npz"}:
        raise SettingError(f"--split is {split}, and no input is a .txt or .npz: leave it out.")


def refuse_nothing(kept: int, counts: Counter[str]) -> None:
    if not kept:
        dropped = ", ".join(f"{reason} {count:,}" for reason, count in counts.items() if count)
        raise DataError(f"there is no text to train on in the inputs ({dropped or 'they have no document'}).")


@contextmanager
def room_for(out: Path, size: int) -> Iterator[None]:
    """Say what to do when the disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise DataError(
            f"there is no room left on the disk of {out.parent}: free {ROOM * size / 1e6 + 1:,.0f} MB there, "
            "or name an --out on another disk."
        ) from None


def bar(name: str, total: int) -> tqdm[None]:
    return tqdm(total=total, desc=name, unit_scale=True, bar_format=BAR, leave=False)


def without_empty(documents: Iterable[Document], counts: Counter[str]) -> Iterator[Document]:
    for document in documents:
        if document:
            yield document
        else:
            counts["empty"] += 1


def sift(spool: Spool, likeness: float, counts: Counter[str]) -> NDArray[np.bool_]:
    """Which documents stay."""
    repeated = copies(spool.keys)
    counts["duplicate"] = int(repeated.sum())
    if likeness:
        alike = near_copies(spool.signatures, repeated, spool.text, likeness)
        counts["near duplicate"] = int(alike.sum())
        repeated |= alike
    return ~repeated


def write_vocabulary(
    folder: Path, vocabulary: Path, size: int | None, spool: Spool, kept: NDArray[np.bool_]
) -> Tokenizer:
    """Copy the vocabulary, or learn one from the documents that stay."""
    if size is None:
        for name in VOCABULARY_FILES:
            shutil.copyfile(vocabulary / name, folder / name)
    else:
        texts = (part.text for block in spool.blocks(kept) for _, document in block for part in document)
        learn_vocabulary(folder, texts, size)
    return Tokenizer.from_gpt2(folder)


def end_of_text(tokenizer: Tokenizer) -> int:
    assert tokenizer.end_of_text is not None
    return tokenizer.end_of_text


def hold_out(keys: NDArray[np.uint64], kept: NDArray[np.bool_], share: float) -> NDArray[np.bool_]:
    """Which documents are for validation: those whose key falls into the share, but never all."""
    held = kept & (keys[:, 0] < share * 2.0**64)
    if share and not held.any() and kept.sum() >= ENOUGH:
        numbers = np.flatnonzero(kept)
        held[numbers[keys[numbers, 0].argmin()]] = True
    return held if (kept & ~held).any() else np.zeros_like(held)


def made() -> dict[str, str]:
    versions = {library: importlib.metadata.version(library) for library in ("numpy", "tokenizers")}
    return {"at": datetime.now(UTC).isoformat(timespec="seconds")} | versions


def write_tokens(
    folder: Path, spool: Spool, kept: NDArray[np.bool_], held: NDArray[np.bool_], tokenizer: Tokenizer, min_tokens: int
) -> TokenCounts:
    """Write what stays, in order, to the split it belongs to."""
    too_short, digest = 0, hashlib.sha256()
    with (
        SplitWriter(folder, "train", len(tokenizer)) as train,
        SplitWriter(folder, "validation", len(tokenizer)) as validation,
        bar("tokenize", int(kept.sum())) as progress,
    ):
        for number, document, tokens, roles in tokenize(spool, kept, tokenizer):
            progress.update()
            if len(tokens) - sum(part.ends for part in document) < min_tokens:
                too_short += 1
                continue
            (validation if held[number] else train).add(tokens, roles)
            digest.update(f"{text_of(document)}{END_OF_TEXT}".encode())
        splits = {"train": train, "validation": validation}
        documents = {split: writer.documents for split, writer in splits.items()}
        lengths = {split: writer.length for split, writer in splits.items()}
    return TokenCounts(documents, lengths, too_short, digest.hexdigest())


def tokenize(
    spool: Spool, kept: NDArray[np.bool_], tokenizer: Tokenizer
) -> Iterator[tuple[int, Document, list[int], list[int]]]:
    """Each document with its number, its tokens and their roles."""
    end = end_of_text(tokenizer)
    for block in spool.blocks(kept):
        encoded = iter(tokenizer.encode_batch([part.text for _, document in block for part in document]))
        for number, document in block:
            tokens: list[int] = []
            roles: list[int] = []
            for part in document:
                found = next(encoded) + [end] * part.ends
                tokens += found
                roles += [int(part.role)] * len(found)
            yield number, document, tokens, roles


def summary(out: Path, description: DataDescription, passed: list[Path]) -> str:
    """What was made of how much, for a person."""
    lines = [f"{out}: {description.read:,} documents read, a vocabulary of {description.n_vocab:,}"]
    for split, documents in description.documents.items():
        lines.append(f"  {split:<16}{documents:>12,} documents {description.tokens[split]:>14,} tokens")
    lines += [f"  {reason:<16}{count:>12,} dropped" for reason, count in description.dropped.items()]
    if (size := description.options["vocabulary_size"]) and description.n_vocab < int(size):
        lines.append(f"  The text has no more to learn than a vocabulary of {description.n_vocab:,}, not {size:,}.")
    if not description.documents["validation"] and description.options["validation"]:
        lines.append("  Too few documents to hold some out: all are in train.")
    if passed:
        lines.append(f"  Passed over, being none of {', '.join(SUFFIXES)}: {', '.join(map(str, passed))}")
    return "\n".join(lines)
