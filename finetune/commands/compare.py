"""`compare`: two models side by side: loss on the same held-out text, texts from the same seeds, speed and size.

    gpt2 compare checkpoint/jokes models/starter --data data/jokes

Runs, saves and bundles can be compared, whatever their vocabularies. Both are rounded as they would be served.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from app.engine.bundle import read_manifest
from app.engine.default_bundle import is_bundle
from app.engine.generation import GenerationOptions, Length, Seed
from app.engine.sampling import Sampling
from app.errors import DataError, SettingError
from finetune.data.prepared import Data, open_data
from finetune.evaluation.comparison_page import as_text, render_comparison
from finetune.evaluation.model_comparison import (
    MeasuredModel,
    ModelComparison,
    compare_models,
    fits,
    held_out_texts,
    measure_model,
)
from finetune.folder import refuse_overwriting, replace_folder, written_aside
from finetune.opened_model import model_folder, opened_model
from finetune.option_ranges import Count, check_range, check_ranges
from finetune.readable_json import readable_json
from finetune.run_folder import RunFolder
from finetune.run_title import run_title
from finetune.sampled_texts import encode_prefix
from finetune.terminal import harmless

FILES = ("report.json", "report.html")
LONGEST = 512
"""Tokens of a held-out document that are read."""


def compare(
    one: str,
    other: str,
    /,
    *,
    data: Path | None = None,
    out: Path | None = None,
    samples: int = 10,
    length: int = 100,
    prefix: str = "",
    temperature: float = 0.7,
    seed: int = 0,
    max_tokens: int = 10_000,
    json: bool = False,
) -> None:
    """Compare two models: loss on the same held-out text with an interval, texts from the same seeds, speed and size.

    Args:
        one: a run, a save in it, or a bundle, such as jokes, models/jokes or checkpoint/jokes/best
        other: another run, save or bundle
        data: the folder that `prepare` wrote, whose held-out documents both read; by default that of the first run
        out: the report's folder; by default reports/ONE-and-OTHER
        samples: texts that each writes
        length: the most tokens in each
        prefix: what the texts continue
        temperature: 0 always takes the likeliest token
        seed: the same seed gives the same documents and texts
        max_tokens: tokens to read of the held-out documents
        json: print the report as JSON
    """
    options = GenerationOptions(length=length, seed=seed, sampling=Sampling(temperature))
    check_range("length", length, Length)
    check_range("seed", seed, Seed)
    check_range("samples", samples, Count)
    check_range("max_tokens", max_tokens, Count)
    check_ranges(options.sampling)
    paths = model_folder(one), model_folder(other)
    titles = titles_of(*paths)
    out = out or report_folder(titles)
    refuse_overwriting(out, (out / "report.json").is_file(), "a report")
    held_out = open_data(data or data_of(*paths))
    if not len(held_out.validation):
        raise DataError(f"{held_out.folder} holds out no documents: prepare it with --validation 0.05.")
    comparison = compared(paths, titles, held_out, prefix, samples, options, max_tokens)
    with written_aside(out) as aside:
        (aside / "report.json").write_bytes(readable_json(comparison))
        (aside / "report.html").write_text(render_comparison(comparison), encoding="utf-8")
        replace_folder(aside, out, FILES)
    if json:
        sys.stdout.write(readable_json(comparison).decode())
    else:
        print(harmless(f"{as_text(comparison)}\n{out}/report.html"))


def compared(
    paths: tuple[Path, Path],
    titles: tuple[str, str],
    data: Data,
    prefix: str,
    samples: int,
    options: GenerationOptions,
    max_tokens: int,
) -> ModelComparison:
    """Both engines are opened first, so that only texts are read that fit into both windows."""
    with opened_model(paths[0]) as first, opened_model(paths[1]) as second:
        for engine in (first, second):
            encode_prefix(engine, prefix)
        longest = min(LONGEST, first.n_ctx, second.n_ctx)
        found = held_out_texts(data, max_tokens, options.seed, longest - 1)
        texts = [text for text in found if fits(first, text) and fits(second, text)]
        if not texts:
            raise DataError(f"no held-out document of {data.folder} fits into both windows: prepare shorter ones.")

        def measured(index: int) -> MeasuredModel:
            engine = (first, second)[index]
            return measure_model(engine, titles[index], paths[index], texts, prefix, samples, options)

        both = measured(0), measured(1)
    settings: dict[str, str | int | float] = {
        "data": str(data.folder),
        "samples": samples,
        "length": options.length,
        "prefix": prefix,
        "temperature": options.sampling.temperature,
        "seed": options.seed,
        "max_tokens": max_tokens,
    }
    notes = [note for path, title in zip(paths, titles, strict=True) for note in other_text(path, title, data)]
    return compare_models(both, texts, data, settings, notes)


def titles_of(one: Path, other: Path) -> tuple[str, str]:
    """What the two are called; by their paths where their names are the same."""
    if one.resolve() == other.resolve():
        raise SettingError(f"{one} is named twice: name two models.")
    titles = run_title(one), run_title(other)
    return titles if titles[0] != titles[1] else (str(one), str(other))


def report_folder(titles: tuple[str, str]) -> Path:
    """Where the report goes by default: one folder in reports/, also where the titles are paths."""
    return Path("reports") / "-and-".join(re.sub(r"[, /\\]+", "-", title).strip("-") for title in titles)


def data_of(*paths: Path) -> Path:
    """The data that one of the runs was trained on. Raises SettingError if it is not known or not there."""
    for path in paths:
        for folder in (path, path.parent):
            description = None if is_bundle(folder) else RunFolder(folder).description
            if description is not None and (found := Path(str(description.options.get("data", "")))).is_dir():
                return found
    raise SettingError("--data is needed: name the folder that `prepare` wrote, whose held-out documents both read.")


def other_text(path: Path, title: str, data: Data) -> list[str]:
    """What to bear in mind of a model that was trained on other text: it may know these documents."""
    if corpus_of(path) in (None, data.description.corpus_sha256):
        return []
    return [f"{title} was trained on other data than {data.folder}, and may have learned some of these documents."]


def corpus_of(path: Path) -> str | None:
    """The hash of the text that a model was trained on, where its run or its bundle says so."""
    if is_bundle(path):
        corpus = read_manifest(path).training.get("corpus_sha256")
        return None if corpus is None else str(corpus)
    description = RunFolder(path if path.is_dir() else path.parent).description
    return description.corpus_sha256 if description else None
