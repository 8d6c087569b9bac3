"""`evaluate`: how well a checkpoint predicts, how varied what it writes is, and how much of it is copied.

    python -m finetune evaluate --checkpoint checkpoint/NAME --data data/NAME --out reports/NAME

Writes report.json, and report.html for people. Beside each figure of the model's texts stands that of human ones: of
validation documents, cut to the same length, which nobody copied from the training text.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

import app
from app.engine.checkpoint_folder import CheckpointFolder, open_checkpoint
from app.engine.generation import GenerationOptions, Length, Seed
from app.engine.sampling import Sampling
from app.engine.tokenizer import Tokenizer
from app.errors import DataError, SettingError
from finetune.data.prepared import Data, Documents, open_data
from finetune.evaluation.figures import FILES, FORMAT, Example, Figures, Passages, Report
from finetune.evaluation.parroting import LEAST, Runs, copying, find_runs, inside
from finetune.evaluation.perplexity import Surprise, measure
from finetune.evaluation.report_page import render
from finetune.evaluation.variety import Passage, variety
from finetune.export.checkpoint_engine import engine_for
from finetune.export.quantization import Bits
from finetune.folder import refuse_strangers, replace_folder, written_aside
from finetune.option_ranges import Count, check_range, check_sampling
from finetune.run_folder import RunFolder, vocabulary_differs
from finetune.sampled_texts import sample_texts

Ids = NDArray[Any]
TextOf = Callable[[Ids], str]
SIZES = range(LEAST, 17)
EXAMPLES = 10
SHOWN = 10
CONTEXT = 40
"""Tokens of a training document shown on each side of what was copied from it."""


def evaluate(
    checkpoint: Path,
    data: Path,
    out: Path,
    samples: int = 100,
    length: int = 200,
    prefix: str = "",
    temperature: float = 0.7,
    top_k: int = 0,
    top_p: float = 0.0,
    seed: int = 0,
    n: int = 8,
    max_tokens: int = 50_000,
    bits: Bits = 8,
    end: str | None = None,
) -> None:
    """Report how well a checkpoint predicts, how varied its texts are and how much of them is copied.

    Args:
        checkpoint: the folder that `train` or gpt-2-simple wrote, such as checkpoint/NAME
        data: the folder that `prepare` wrote, such as data/NAME
        out: the report's folder, such as reports/NAME; an older report there is replaced
        samples: texts to write, and validation documents to hold them against
        length: tokens of each at most
        prefix: what the texts continue; it is left out of all figures
        temperature: 0 always takes the likeliest token
        top_k: choose among the k likeliest, 0 for all
        top_p: choose among the likeliest that add up to p, 0 for all
        seed: same seed, same documents and texts
        n: tokens in a row that make a copy in the headline
        max_tokens: tokens to read of the validation documents, and as many of those trained on
        bits: bits per weight when texts are written, as in `export`
        end: what ends a text, as in `export`; without it, the end of text that the data has
    """
    sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p)
    options = GenerationOptions(length=length, seed=seed, sampling=sampling)
    check_range("length", length, Length)
    check_range("seed", seed, Seed)
    check_range("samples", samples, Count)
    check_range("max_tokens", max_tokens, Count)
    check_sampling(sampling)
    if not LEAST <= n <= length:
        raise SettingError(f"--n is {n} and should be between {LEAST} and --length, which is {length}.")
    source, prepared = open_checkpoint(checkpoint), open_both(checkpoint, data)
    refuse_strangers(out, (out / "report.json").is_file(), "a report")
    mark = str(prepared.description.end_of_text) if end is None else end
    train, validation = surprise(source, prepared, max_tokens, seed)
    model = write_passages(source, bits, mark, prefix, samples, options)
    human = human_passages(prepared, samples, length, seed)
    settings: dict[str, str | int | float] = {"samples": samples, "length": length, "prefix": prefix}
    settings |= {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed, "n": n}
    settings |= {"max_tokens": max_tokens, "bits": bits, "end": mark}
    runs = find_runs([*model, *human], prepared.train.tokens, prepared.description.end_of_text)
    text_of = decoder(source.tokenizer, prepared.description.end_of_text)
    report = Report(
        format=FORMAT,
        checkpoint=checkpoint.resolve().name,
        save=source.save,
        step=source.step,
        parameters=parameters(source),
        corpus_sha256=prepared.description.corpus_sha256,
        documents=prepared.description.documents,
        tokens=prepared.description.tokens,
        settings=settings,
        n=n,
        train=train,
        validation=validation,
        log=RunFolder(checkpoint).log(),
        texts=figures(model, human, runs, sorted({*SIZES, n} & set(range(length + 1)))),
        examples=examples(model, runs, prepared.train, text_of, n),
        samples=[prefix + text_of(passage.tokens) for passage in model[:SHOWN]],
        made=made(),
    )
    with written_aside(out) as aside:
        (aside / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
        (aside / "report.html").write_text(render(report), encoding="utf-8")
        replace_folder(aside, out, FILES)
    print(f"{out}/report.html: {' '.join(report.sentences())}")


def open_both(checkpoint: Path, data: Path) -> Data:
    """The data, if a model of this checkpoint's vocabulary can read it."""
    prepared = open_data(data)
    if vocabulary_differs(checkpoint, data):
        raise DataError(
            f"{data} was prepared with another vocabulary than {checkpoint} has: prepare it again with the model's own."
        )
    if not len(prepared.train):
        raise DataError(f"{data} has no documents to train on, so nothing can be copied from it: prepare more text.")
    return prepared


def surprise(source: CheckpointFolder, data: Data, most: int, seed: int) -> tuple[Surprise | None, Surprise | None]:
    """At the training documents and at the validation documents, as many tokens of each if there are as many."""
    from finetune.checkpoint import read_weights
    from finetune.evaluation.reference import reader

    read, end = reader(source.hparams, read_weights(source)), data.description.end_of_text
    held_out = data.description.tokens["validation"]
    budgets = {"training text": min(most, held_out or most), "validation text": most}
    splits = zip(budgets.items(), (data.train, data.validation), strict=True)
    train, validation = (
        measure(read, source.hparams.n_ctx, documents, source.tokenizer, end, budget, seed, f"read {title}")
        for (title, budget), documents in splits
    )
    return train, validation


def write_passages(
    source: CheckpointFolder, bits: Bits, end: str, prefix: str, count: int, options: GenerationOptions
) -> list[Passage]:
    """What the model writes. Encoded anew, since a text can be written in other tokens than the corpus has for it."""
    with engine_for(source.folder, bits, end) as engine, tqdm(total=count, desc="write", unit=" texts") as progress:
        passages = []
        for written in sample_texts(engine, prefix, count, options):
            passages.append(Passage(np.array(source.tokenizer.encode(written.text), np.int32), written.ended))
            progress.update()
    return passages


def human_passages(data: Data, count: int, length: int, seed: int) -> list[Passage]:
    """Random validation documents up to their first end of text, cut to the length that the model was given."""
    chosen = np.random.default_rng(seed).permutation(len(data.validation))[:count]
    return [first_passage(data.validation, int(index), data.description.end_of_text, length) for index in chosen]


def first_passage(documents: Documents, index: int, end: int, length: int) -> Passage:
    tokens, _ = documents[index]
    size = int(np.argmax(tokens == end)) if (tokens == end).any() else len(tokens)
    return Passage(tokens[: min(size, length)], ended=size < length)


def figures(model: Sequence[Passage], human: Sequence[Passage], runs: Sequence[Runs], sizes: Sequence[int]) -> Figures:
    total = min(sum(len(passage.tokens) for passage in passages) for passages in (model, human) if passages)
    parts = (model, runs[: len(model)]), (human, runs[len(model) :])
    described = [
        Passages(variety=variety(passages, total), copying=copying(passages, found, sizes)) if passages else None
        for passages, found in parts
    ]
    assert described[0] is not None
    return Figures(model=described[0], human=described[1])


def examples(
    model: Sequence[Passage], runs: Sequence[Runs], train: Documents, text_of: TextOf, n: int
) -> list[Example]:
    """The longest copies of at least n tokens, one of each text, each run once."""
    found: dict[bytes, Example] = {}
    lengths = [inside(passage, run) for passage, run in zip(model, runs, strict=False)]
    for index in sorted(range(len(model)), key=lambda index: -int(lengths[index].max(initial=0))):
        size = int(lengths[index].max(initial=0))
        if size < n or len(found) == EXAMPLES:
            break
        start, tokens = int(lengths[index].argmax()), model[index].tokens
        run = tokens[start : start + size].tobytes()
        if run not in found:
            # Position 0 of the runs is the end of text before the passage.
            place = int(runs[index].places[start + 1])
            found[run] = example(train, text_of, tokens, slice(start, start + size), place)
    return list(found.values())


def example(train: Documents, text_of: TextOf, tokens: Ids, run: slice, place: int) -> Example:
    document = int(np.searchsorted(train.ends, place, side="right"))
    first, last = train.span(document)
    after = place + run.stop - run.start
    start, stop = max(first, place - CONTEXT), min(last, after + CONTEXT)
    copied = text_of(tokens[run])
    return Example(
        tokens=after - place,
        words=len(copied.split()),
        document=document,
        run=copied,
        before=text_of(tokens[: run.start]),
        after=text_of(tokens[run.stop :]),
        source_before="…" * (start > first) + text_of(train.tokens[start:place]),
        source_after=text_of(train.tokens[after:stop]) + "…" * (stop < last),
    )


def decoder(tokenizer: Tokenizer, end: int) -> TextOf:
    return lambda tokens: tokenizer.decode(int(token) for token in tokens if token != end)


def parameters(source: CheckpointFolder) -> int:
    from finetune.checkpoint import variable_shapes

    return sum(int(np.prod(shape)) for shape in variable_shapes(source.hparams).values())


def made() -> dict[str, str]:
    libraries = ("numpy", "onnxruntime", "tokenizers", "matplotlib")
    versions = {library: importlib.metadata.version(library) for library in libraries}
    return {"at": datetime.now(UTC).isoformat(timespec="seconds"), "gpt-2-cloud-run": app.__version__} | versions
