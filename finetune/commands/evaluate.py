"""`evaluate`: how well a checkpoint predicts, how varied its texts are, how much they copy.

    python -m finetune evaluate --checkpoint checkpoint/NAME --data data/NAME --out reports/NAME

Writes report.json for programs and report.html for people. Each figure of the model's texts stands beside the same figure of
human texts: validation documents cut to the same length, which copied nothing from the training text.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from app.engine.generation import GenerationOptions, Length, Seed
from app.engine.sampling import Sampling
from app.errors import SettingError
from finetune.evaluation.checkpoint_evaluation import EvaluationOptions, evaluate_checkpoint, open_both
from finetune.evaluation.copying import COPY, SHORTEST
from finetune.evaluation.evaluation_page import render
from finetune.export.quantization import Bits
from finetune.folder import refuse_overwriting, replace_folder, written_aside
from finetune.option_ranges import Count, check_range, check_ranges
from finetune.readable_json import readable_json

FILES = ("report.json", "report.html")


def evaluate(
    checkpoint: Path,
    data: Path,
    out: Path,
    *,
    samples: int = 100,
    length: int = 200,
    prefix: str = "",
    temperature: float = 0.7,
    top_k: int = 0,
    top_p: float = 0.0,
    seed: int = 0,
    n: int = COPY,
    max_tokens: int = 50_000,
    bits: Bits = 8,
    end: str | None = None,
    save: int | None = None,
    longer: Annotated[str | None, Parameter(parse=False)] = None,
) -> None:
    """Report how well a checkpoint predicts, how varied its texts are and how much of them is copied.

    Args:
        checkpoint: the folder that `train` or gpt-2-simple wrote, such as checkpoint/NAME
        data: the folder that `prepare` wrote, such as data/NAME
        out: the report's folder, such as reports/NAME; an older report there is replaced
        samples: texts to write, and validation documents to compare them with
        length: the most tokens in each
        prefix: what the texts continue; it is left out of all figures
        temperature: 0 always takes the likeliest token
        top_k: choose among the k likeliest, 0 for all
        top_p: choose among the likeliest that add up to p, 0 for all
        seed: the same seed gives the same documents and texts
        n: how many tokens in a row count as a copy in the headline
        max_tokens: tokens to read of the validation documents, and as many of the training documents
        bits: bits per weight while texts are written, as in `export`
        end: what ends a text, as in `export`; by default the end of text of the data
        save: the number of a save, as in `export`
        longer: the command that trains longer, of a caller that has one of its own
    """
    generation = GenerationOptions(length=length, seed=seed, sampling=Sampling(temperature, top_k, top_p))
    options = EvaluationOptions(
        samples=samples, prefix=prefix, generation=generation, n=n, max_tokens=max_tokens, bits=bits, end=end
    )
    check_options(options)
    source, prepared = open_both(checkpoint, data, save)
    refuse_overwriting(out, (out / "report.json").is_file(), "a report")
    report = evaluate_checkpoint(source, prepared, options)
    if longer:
        report = msgspec.structs.replace(report, resume=longer)
    with written_aside(out) as aside:
        (aside / "report.json").write_bytes(readable_json(report))
        (aside / "report.html").write_text(render(report), encoding="utf-8")
        replace_folder(aside, out, FILES)
    print(f"{out}/report.html: {' '.join(report.headline())}")
    for advice in report.advice():
        print(f"{advice.sentence} {advice.command}".rstrip())


def check_options(options: EvaluationOptions) -> None:
    """Raises SettingError naming the first option that is out of range."""
    length = options.generation.length
    check_range("length", length, Length)
    check_range("seed", options.generation.seed, Seed)
    check_range("samples", options.samples, Count)
    check_range("max_tokens", options.max_tokens, Count)
    check_ranges(options.generation.sampling)
    if not SHORTEST <= options.n <= length:
        raise SettingError(f"--n is {options.n} and should be between {SHORTEST} and --length, which is {length}.")
