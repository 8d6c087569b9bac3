"""Preparing data: read documents, drop duplicates, split off validation, tokenize and write.

Four passes over the text: read and spool to disk, sign it to find near duplicates, learn the vocabulary (if asked to), tokenize.
Each works block by block, so a corpus may be larger than memory.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.metadata
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, compress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.engine.templates import Template
from app.engine.tokenizer import Tokenizer
from app.engine.vocabulary_files import read_byte_pairs, write_byte_pairs
from app.errors import DataError
from finetune.data.chats.chat_reading import chat_rules
from finetune.data.chats.conversations import UNANSWERED
from finetune.data.document_block import END, DocumentBlock, sums
from finetune.data.document_encoder import DocumentEncoder
from finetune.data.documents import Document
from finetune.data.file_kinds import CHATS
from finetune.data.input_files import InputFile, content_sha256, printable, total_bytes
from finetune.data.near_duplicates import copies, near_copies
from finetune.data.prepared import FORMAT, DataDescription, SplitWriter, TokenBlock
from finetune.data.private_text import is_private
from finetune.data.sources import Source, SplitAt, columns_of
from finetune.data.spool import Spool, write_spool
from finetune.data.table_columns import TextColumns
from finetune.data.thread_map import thread_map
from finetune.data.validation_split import hold_out
from finetune.data.vocabulary import learn_vocabulary, read_vocabulary
from finetune.folder import replace_folder, written_aside
from finetune.progress_bar import progress_bar
from finetune.readable_json import readable_json

REASONS = ("empty", "duplicate", "near duplicate", "too short")
# How an operating system reports a full disk, an exceeded quota and an exceeded limit on file size.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
Check = Callable[[DataDescription], object]
SPACE_FACTOR = 4
"""Bytes on disk per byte of input: the spooled text, its signatures, and the tokens with their roles."""


@dataclass(frozen=True, kw_only=True)
class PreparationOptions:
    """The options of `prepare`, apart from its inputs and output; their meaning is in finetune/commands/prepare.py."""

    vocabulary: Path = Path("models/124M")
    vocabulary_size: int | None = None
    column: tuple[str, ...] = ()
    split: SplitAt = "marks"
    template: Template | None = None
    encoding: str = "utf-8"
    validation: float = 0.02
    near_duplicates: float = 0.85
    min_tokens: int = 1
    model_is: tuple[str, ...] = ()
    keep_names: bool = False

    def described(self) -> dict[str, str | int | float | bool | None]:
        """As description.json lists them; the template has a field of its own there."""
        return {
            "vocabulary": None if self.vocabulary_size else str(self.vocabulary),
            "vocabulary_size": self.vocabulary_size,
            "column": ", ".join(self.column) or None,
            "split": self.split,
            "encoding": self.encoding,
            "validation": self.validation,
            "near_duplicates": self.near_duplicates,
            "min_tokens": self.min_tokens,
            "model_is": ", ".join(self.model_is) or None,
            "keep_names": self.keep_names,
        }


class TokenCounts(NamedTuple):
    """What was written to each split: documents, the stretches in which they lie, and tokens; and the hash of all text.

    `long_enough` says which stretches were, [stretch].
    """

    documents: dict[str, int]
    stretches: dict[str, int]
    tokens: dict[str, int]
    long_enough: NDArray[np.bool_]
    sha256: str


def prepare_data(
    files: list[InputFile], out: Path, options: PreparationOptions, check: Check = lambda _: None
) -> DataDescription:
    """Read the files and write the folder `out`, complete or not at all. `check` may refuse what is about to be written there.

    Raises DataError where a line cannot be read, the vocabulary cannot be used, the disk is full, or no document is left.
    """
    vocabulary = given_vocabulary(files, options)
    files_sha256 = content_sha256(files)  # Before they are read, since somebody may be writing one.
    chats = chat_rules(files, options.encoding, options.model_is, options.keep_names)
    columns = {file: columns_of(file, options.column, options.encoding) for file in files if file.kind == "table"}
    template = options.template or usual_template(files, columns.values())
    how = (options.column, options.split, template, options.encoding)
    private, size = set(filter(is_private, files)), total_bytes(files)
    counts: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
    with explain_full_disk(out, size), written_aside(out) as aside:
        with progress_bar("read", size, unit="B") as progress:
            rest = (vocabulary, chats, progress.update, private.add)
            sources = (Source(file, *how, *rest) for file in files)
            write_spool(aside / "spool", without_empty((source.documents() for source in sources), counts))
        counts.update(chats.counts)
        with closing(Spool(aside / "spool")) as spool:
            read = spool.table.documents(np.ones(len(spool), np.bool_)) + counts["empty"] + counts[UNANSWERED]
            refuse_no_text(len(spool), counts)
            kept = without_duplicates(spool, options.near_duplicates, counts)
            tokenizer = write_vocabulary(aside, options, spool, kept)
            held_out = hold_out(spool.keys, kept, options.validation)
            written = write_tokens(aside, spool, kept, held_out, tokenizer, options.min_tokens)
            counts["too short"] = spool.table.documents(kept & ~written.long_enough)
        shutil.rmtree(aside / "spool")
        refuse_no_text(written.documents["train"], counts)
        description = DataDescription(
            format=FORMAT,
            sources=[printable(str(file)) for file in files],
            corpus_sha256=written.sha256,
            template=template,
            n_vocab=len(tokenizer),
            end_of_text=end_of_text(tokenizer),
            read=read,
            dropped=dict(counts),
            documents=written.documents,
            tokens=written.tokens,
            options=options.described(),
            made=made(),
            replaced=dict(chats.personal.counts) if chats.personal and chats.personal.counts else None,
            stretches=None if written.stretches == written.documents else written.stretches,
            private=bool(private),
            columns={printable(str(file)): each.names for file, each in columns.items() if each.guessed} or None,
            files_sha256=files_sha256,
        )
        check(description)
        put_in_place(aside, out, description)
    return description


def put_in_place(aside: Path, out: Path, description: DataDescription) -> None:
    (aside / "description.json").write_bytes(readable_json(description))
    replace_folder(aside, out, files=[path.name for path in aside.iterdir()])


def usual_template(files: Iterable[InputFile], tables: Iterable[TextColumns]) -> Template:
    if any(file.kind in CHATS for file in files):
        return "chat"
    return "qa" if any(len(columns) > 1 for columns in tables) else "text"


def given_vocabulary(files: list[InputFile], options: PreparationOptions) -> Tokenizer | None:
    """The vocabulary that `options` names, checked; None where it is not needed because a new one is learned."""
    archives = any(file.kind == "npz" for file in files)
    if options.vocabulary_size is not None and not archives:
        return None
    otherwise = "an .npz cannot be read without" if archives else "--vocabulary-size N learns one from this text"
    return read_vocabulary(options.vocabulary, otherwise)


@contextmanager
def explain_full_disk(out: Path, size: int) -> Iterator[None]:
    """Turn an OSError of a full disk into a DataError that says how much space `size` bytes of input need."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise DataError(
            f"there is no space left on the disk of {out.parent}: free {SPACE_FACTOR * size / 1e6 + 1:,.0f} MB there, "
            "or give an --out on another disk."
        ) from None


def refuse_no_text(kept: int, counts: Counter[str]) -> None:
    """Raises DataError if no document is kept, with the reasons for which the others were dropped."""
    if not kept:
        dropped = ", ".join(f"{reason} {count:,}" for reason, count in counts.items() if count)
        raise DataError(f"there is no text to train on in the inputs ({dropped or 'they have no document'}).")


def without_empty(sources: Iterable[Iterator[Document]], counts: Counter[str]) -> Iterator[Document]:
    for document in chain.from_iterable(sources):
        if document:
            yield document
        else:
            counts["empty"] += 1


def without_duplicates(spool: Spool, threshold: float, counts: Counter[str]) -> NDArray[np.bool_]:
    """Which stretches are kept, [stretch]. A threshold of 0 drops exact copies only."""
    dropped = repeated = copies(spool.keys)
    if threshold:
        dropped = repeated | near_copies(spool.signatures(), repeated, spool.text, threshold)
    # A document is dropped when all its stretches are; else what is left of it is kept.
    gone = ~spool.table.any_of(~dropped)
    counts["duplicate"] = int(np.count_nonzero(gone & ~spool.table.any_of(~repeated)))
    counts["near duplicate"] = int(np.count_nonzero(gone)) - counts["duplicate"]
    if parts := int(np.count_nonzero(dropped)) - spool.table.stretches(gone):
        counts["repeated stretch"] = parts
    return ~dropped


def write_vocabulary(folder: Path, options: PreparationOptions, spool: Spool, kept: NDArray[np.bool_]) -> Tokenizer:
    """Copy the vocabulary into `folder`, or learn one from the documents that are kept."""
    if options.vocabulary_size is None:
        write_byte_pairs(read_byte_pairs(options.vocabulary), folder)
    else:
        blocks = (spool[numbers].only(kept[numbers]) for numbers in spool.blocks())
        texts = (text.decode() for block in blocks for text in block.part_texts())
        learn_vocabulary(folder, texts, options.vocabulary_size)
    return Tokenizer.from_gpt2(folder)


def end_of_text(tokenizer: Tokenizer) -> int:
    assert tokenizer.end_of_text is not None
    return tokenizer.end_of_text


def write_tokens(
    folder: Path,
    spool: Spool,
    kept: NDArray[np.bool_],
    held_out: NDArray[np.bool_],
    tokenizer: Tokenizer,
    min_tokens: int,
) -> TokenCounts:
    """Tokenize the stretches that are kept, in order, and write each to its split."""
    digest, encoder = hashlib.sha256(), DocumentEncoder(tokenizer)
    joined = spool.table.joined(kept, held_out)
    long_enough = ~spool.table.is_whole

    def encoded(numbers: slice) -> tuple[slice, DocumentBlock, TokenBlock]:
        documents = spool[numbers].only(kept[numbers])
        return numbers, documents, encoder.encode(documents)

    with (
        SplitWriter(folder, "train", len(tokenizer)) as train,
        SplitWriter(folder, "validation", len(tokenizer)) as validation,
        progress_bar("tokenize", int(kept.sum()), unit=" documents") as progress,
    ):
        for numbers, documents, block in thread_map(encoded, spool.blocks()):
            chosen = kept[numbers]
            progress.update(len(block.lengths))
            enough = block.lengths - sums(documents.ends, documents.parts) >= min_tokens
            long_enough[numbers][chosen] |= enough
            enough = long_enough[numbers][chosen]
            joins, held = joined[numbers][chosen], held_out[numbers][chosen]
            whole = block.bordered((spool.table.goes_on[numbers] & ~joined[numbers])[chosen], end_of_text(tokenizer))
            for writer, written in ((train, enough & ~held), (validation, enough & held)):
                writer.add(whole.only(written), joins[written])
            texts = compress(zip(documents.texts(), spool.table.goes_on[numbers][chosen], strict=True), enough)
            digest.update(b"".join(text if goes_on else text + END for text, goes_on in texts))
        written = kept & long_enough
        return TokenCounts(
            {
                "train": spool.table.documents(written & ~held_out),
                "validation": spool.table.documents(written & held_out),
            },
            {"train": train.stretches, "validation": validation.stretches},
            {"train": train.length, "validation": validation.length},
            long_enough,
            digest.hexdigest(),
        )


def made() -> dict[str, str]:
    versions = {library: importlib.metadata.version(library) for library in ("numpy", "tokenizers")}
    return {"at": datetime.now(UTC).isoformat(timespec="seconds")} | versions
