"""`prepare`: turn text into the token folder that `train` reads.

    python -m finetune prepare comments.jsonl jokes.csv --out data/NAME

Empty, too short and duplicate documents are dropped and counted. finetune/data/preparation.py does the work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from app.engine.templates import Template
from app.errors import SettingError
from finetune.data.file_kinds import CHATS, ENCODED, PERSONAL, Kind
from finetune.data.input_files import find_files
from finetune.data.preparation import Check, PreparationOptions, prepare_data
from finetune.data.prepared import DataDescription
from finetune.data.sources import SplitAt
from finetune.data.text_encoding import check_encoding
from finetune.data.vocabulary import SMALLEST
from finetune.folder import refuse_overwriting
from finetune.template_option import read_template

SHOWN = 5
"""Files that are named where many were skipped."""


def prepare(
    inputs: list[str],
    /,
    *,
    out: Path,
    vocabulary: Path = Path("models/124M"),
    vocabulary_size: int | None = None,
    column: list[str] | None = None,
    split: SplitAt = "marks",
    template: Template | None = None,
    encoding: str = "utf-8",
    validation: float = 0.02,
    near_duplicates: float = 0.85,
    min_tokens: int = 1,
    model_is: list[str] | None = None,
    keep_names: bool = False,
) -> None:
    r"""Turn text into the folder of tokens that train reads.

    Args:
        inputs: files, folders or patterns: .txt, .md, .epub, .srt, .vtt, .csv, .tsv, .jsonl, .mbox, fortune files, exports of
            chats, or .npz from gpt-2-simple's encode_dataset
        out: the folder to write, such as data/NAME; data prepared there before is replaced
        vocabulary: the folder with encoder.json and vocab.bpe of the model to be trained
        vocabulary_size: learn a new byte-pair vocabulary of this many tokens from the text, to train from scratch
        column: the column of .csv and .tsv to read, by default the one that is called as a text is; given twice, a question and
            its answer
        split: where one document of a .txt or .npz ends: at gpt-2-simple's marks, or also at lines or blank_lines
        template: how turns are written: text (lines), qa ([QUESTION] … [ANSWER] …), chat (an end of text after each turn) or
            tags of your own, such as '[USER] %\n[BOT] %'; by default chat for chats, qa for questions and answers, else text
        encoding: the text encoding of the inputs, such as utf-8 or cp1252
        validation: share of the documents to hold out for validation, 0 to 0.5
        near_duplicates: drop a document that shares this much of its word triples with an earlier one (Jaccard similarity),
            0.5 to 1; 0 drops exact copies only
        min_tokens: drop documents of fewer tokens
        model_is: the person of a chat whose messages the model learns to write; may be given several times, for several names
        keep_names: keep the names, user names, telephone numbers, addresses and links of chats, tweets and mails
    """
    options = PreparationOptions(
        vocabulary=vocabulary,
        vocabulary_size=vocabulary_size,
        column=tuple(column or ()),
        split=split,
        template=read_template("template", template) if template else None,
        encoding=encoding,
        validation=validation,
        near_duplicates=near_duplicates,
        min_tokens=min_tokens,
        model_is=tuple(model_is or ()),
        keep_names=keep_names,
    )
    description = prepare_inputs(inputs, out, options)
    start = " --init scratch" if description.options["vocabulary_size"] else ""
    print(f"Next: gpt2 train --data {out} --out checkpoint/{out.name}{start}")


def prepare_inputs(
    inputs: Sequence[str], out: Path, options: PreparationOptions, check: Check = lambda _: None
) -> DataDescription:
    """Prepare, and print what came of it. `check` comes before anything is replaced. Raises SettingError or DataError."""
    refuse_values(options)
    refuse_overwriting(out, ours=(out / "description.json").is_file(), kind="prepared data")
    files, skipped = find_files(inputs)
    refuse_unused({file.kind for file in files}, options)
    description = prepare_data(files, out, options, check)
    print(summary(out, description, skipped))
    return description


def refuse_values(options: PreparationOptions) -> None:
    """Raises SettingError naming the first option that is out of range."""
    # Written so that NaN is refused too.
    if not 0 <= options.validation <= 0.5:
        raise SettingError(f"--validation is {options.validation}, and should be a share from 0 to 0.5.")
    if options.near_duplicates and not 0.5 <= options.near_duplicates <= 1:
        raise SettingError(
            f"--near-duplicates is {options.near_duplicates}, and should be a similarity from 0.5 to 1, "
            "or 0 to drop exact copies only."
        )
    if options.min_tokens < 1:
        raise SettingError(f"--min-tokens is {options.min_tokens}, and should be 1 or more.")
    if options.vocabulary_size is not None and options.vocabulary_size < SMALLEST:
        raise SettingError(
            f"--vocabulary-size is {options.vocabulary_size}, and should be {SMALLEST} or more: "
            "256 bytes and the end of text."
        )
    check_encoding(options.encoding)


def refuse_unused(kinds: set[Kind | None], options: PreparationOptions) -> None:
    """Raises SettingError for an option that no input would use. `kinds` are those of the inputs."""
    if options.column and "table" not in kinds:
        raise SettingError(f"--column is {options.column[0]!r}, and no input is a .csv or .tsv: leave it out.")
    if options.split != "marks" and not kinds & {"text", "npz"}:
        raise SettingError(f"--split is {options.split}, and no input is a .txt or .npz: leave it out.")
    if options.encoding.lower().replace("_", "-") not in ("utf-8", "utf8") and not kinds & {*ENCODED}:
        raise SettingError(f"--encoding is {options.encoding}, and no input has an encoding to choose: leave it out.")
    if options.model_is and not kinds & {*CHATS}:
        raise SettingError(
            f"--model-is is {options.model_is[0]}, and no input is the export of a chat that is known: leave it out."
        )
    if options.keep_names and not kinds & {*CHATS, *PERSONAL}:
        raise SettingError("--keep-names is given, and no input is the export of a chat or a mailbox: leave it out.")


def summary(out: Path, description: DataDescription, skipped: Sequence[Path]) -> str:
    """What was read, kept, dropped and replaced, in two or three lines."""
    lines = [f"{out}: {kept_text(description)}."]
    lines += columns_text(description.columns or {})
    if dropped := [f"{count:,} {reason}" for reason, count in description.dropped.items() if count]:
        lines.append(f"Dropped: {', '.join(dropped)}.")
    if description.replaced:
        replaced = ", ".join(
            f"{count:,} {kind}{'s' * (count > 1)}" for kind, count in sorted(description.replaced.items())
        )
        lines.append(f"Replaced: {replaced}; --keep-names keeps them.")
    size = description.options["vocabulary_size"]
    if size and description.n_vocab < int(size):
        lines.append(f"The text has only enough to learn a vocabulary of {description.n_vocab:,} tokens, not {size:,}.")
    if skipped:
        lines.append(f"Skipped, as they are no text that is read: {listed(skipped)}.")
    return "\n".join(lines)


def columns_text(columns: dict[str, list[str]]) -> Iterator[str]:
    """A line for each choice of columns that was made by their names."""
    for names in dict.fromkeys(map(tuple, columns.values())):
        tables = [Path(table) for table, theirs in columns.items() if tuple(theirs) == names]
        what = f"the column {names[0]}" if len(names) == 1 else f"{' and '.join(names)}, as turns,"
        yield f"Read {what} of {listed(tables)}; --column chooses another."


def kept_text(description: DataDescription) -> str:
    """Documents and tokens, and what of them is held out for validation."""
    documents, tokens = description.documents, description.tokens
    total = sum(documents.values()) if description.stretches is None else max(documents.values())
    kept = f"{total:,} document{'s' * (total != 1)}, {sum(tokens.values()):,} tokens"
    if not tokens["validation"]:
        return kept + (", too few documents to hold some out" if description.options["validation"] else "")
    parts = "stretches of the text" if description.stretches else "documents"
    held = (description.stretches or documents)["validation"]
    return f"{kept}, of which {held:,} {parts} with {tokens['validation']:,} tokens are held out for validation"


def listed(paths: Sequence[Path]) -> str:
    shown = ", ".join(map(str, paths[:SHOWN]))
    return shown + (f" and {len(paths) - SHOWN:,} more" if len(paths) > SHOWN else "")
