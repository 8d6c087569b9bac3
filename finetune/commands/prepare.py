"""`prepare`: turn text into the token folder that `train` reads.

    python -m finetune prepare comments.jsonl jokes.csv --out data/NAME

Empty, too short and duplicate documents are dropped and counted. finetune/data/preparation.py does the work.
"""

from __future__ import annotations

from pathlib import Path

from app.engine.bundle import Template
from app.errors import SettingError
from finetune.data.input_files import SUFFIXES, Kind, find_files
from finetune.data.preparation import PreparationOptions, prepare_data
from finetune.data.prepared import DataDescription
from finetune.data.sources import SplitAt
from finetune.data.text_encoding import check_encoding
from finetune.data.vocabulary import SMALLEST
from finetune.folder import refuse_overwriting


def prepare(
    inputs: list[str],
    /,
    *,
    out: Path,
    vocabulary: Path = Path("models/124M"),
    vocabulary_size: int | None = None,
    column: str | None = None,
    split: SplitAt = "marks",
    template: Template = "text",
    encoding: str = "utf-8",
    validation: float = 0.02,
    near_duplicates: float = 0.85,
    min_tokens: int = 1,
) -> None:
    """Turn text into the folder of tokens that train reads.

    Args:
        inputs: files, folders or patterns: .txt, .csv, .tsv, .jsonl, or .npz from gpt-2-simple's encode_dataset
        out: the folder to write, such as data/NAME; data prepared there before is replaced
        vocabulary: the folder with encoder.json and vocab.bpe of the model to be trained
        vocabulary_size: learn a new byte-pair vocabulary of this many tokens from the text, to train from scratch
        column: the column of .csv and .tsv to read; by default body, else text, else the only one
        split: where one document of a .txt or .npz ends: at gpt-2-simple's marks, or also at lines or blank_lines
        template: how the turns of a .jsonl are written: text (lines), qa ([QUESTION] … [ANSWER] …) or chat (an end of text
            after each turn)
        encoding: the text encoding of the inputs, such as utf-8 or cp1252
        validation: share of the documents to hold out for validation, 0 to 0.5
        near_duplicates: drop a document that shares this much of its word triples with an earlier one (Jaccard similarity),
            0.5 to 1; 0 drops exact copies only
        min_tokens: drop documents of fewer tokens
    """
    options = PreparationOptions(
        vocabulary=vocabulary,
        vocabulary_size=vocabulary_size,
        column=column,
        split=split,
        template=template,
        encoding=encoding,
        validation=validation,
        near_duplicates=near_duplicates,
        min_tokens=min_tokens,
    )
    refuse_values(options)
    refuse_overwriting(out, ours=(out / "description.json").is_file(), kind="prepared data")
    files, skipped = find_files(inputs)
    refuse_unused({file.kind for file in files}, column, split)
    description = prepare_data(files, out, options)
    print(summary(out, description, skipped))


def refuse_values(options: PreparationOptions) -> None:
    """Raises SettingError naming the first option that is out of range."""
    # Written so that NaN is refused too.
    if not 0 <= options.validation <= 0.5:
        raise SettingError(f"--validation is {options.validation}, and should be a share from 0 to 0.5.")
    if options.near_duplicates and not 0.5 <= options.near_duplicates <= 1:
        raise SettingError(
            f"--near_duplicates is {options.near_duplicates}, and should be a similarity from 0.5 to 1, "
            "or 0 to drop exact copies only."
        )
    if options.min_tokens < 1:
        raise SettingError(f"--min_tokens is {options.min_tokens}, and should be 1 or more.")
    if options.vocabulary_size is not None and options.vocabulary_size < SMALLEST:
        raise SettingError(
            f"--vocabulary_size is {options.vocabulary_size}, and should be {SMALLEST} or more: "
            "256 bytes and the end of text."
        )
    check_encoding(options.encoding)


def refuse_unused(kinds: set[Kind | None], column: str | None, split: SplitAt) -> None:
    """Raises SettingError for an option that no input would use. `kinds` are those of the inputs."""
    if column is not None and "table" not in kinds:
        raise SettingError(f"--column is {column!r}, and no input is a .csv or .tsv: leave it out.")
    if split != "marks" and not kinds & {"text", "npz"}:
        raise SettingError(f"--split is {split}, and no input is a .txt or .npz: leave it out.")


def summary(out: Path, description: DataDescription, skipped: list[Path]) -> str:
    """What was read, kept and dropped, in a few lines."""
    lines = [f"{out}: {description.read:,} documents read, a vocabulary of {description.n_vocab:,} tokens"]
    for split, documents in description.documents.items():
        lines.append(f"  {split:<16}{documents:>12,} documents {description.tokens[split]:>14,} tokens")
    lines += [f"  {reason:<16}{count:>12,} dropped" for reason, count in description.dropped.items()]
    if (size := description.options["vocabulary_size"]) and description.n_vocab < int(size):
        lines.append(
            f"  The text has only enough to learn a vocabulary of {description.n_vocab:,} tokens, not {size:,}."
        )
    if not description.documents["validation"] and description.options["validation"]:
        lines.append("  Too few documents to hold some out: all are used for training.")
    if skipped:
        lines.append(f"  Skipped, as they are none of {', '.join(SUFFIXES)}: {', '.join(map(str, skipped))}")
    return "\n".join(lines)
