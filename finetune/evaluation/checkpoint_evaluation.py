"""Evaluates a checkpoint: perplexity, and the variety and the copies of its texts."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import app
from app.engine.bundle import EndMarker
from app.engine.checkpoint_folder import CheckpointFolder
from app.engine.cores import cores_allowed
from app.engine.generation import GenerationOptions
from app.errors import DataError
from finetune.checkpoint import count_parameters, open_save
from finetune.data.prepared import Data, open_data
from finetune.data.vocabulary import vocabulary_differs
from finetune.evaluation.copied_runs import decoder, longest_copies
from finetune.evaluation.copy_marks import copied_tokens, mark_copies
from finetune.evaluation.copying import SHORTEST, Matches, copy_rates, longest_matches
from finetune.evaluation.evaluation_report import FORMAT, EvaluationReport, ModelAndHuman, TextFigures
from finetune.evaluation.passages import Passage, human_passages, model_passages
from finetune.evaluation.perplexity import Perplexity, measure_perplexity
from finetune.evaluation.surprise import MostSurprising
from finetune.evaluation.temperatures import compare_temperatures, passages_by_temperature
from finetune.evaluation.variety import measure_variety
from finetune.export.checkpoint_engine import checkpoint_engine
from finetune.export.end_markers import parse_end_marker
from finetune.export.quantization import Bits
from finetune.run_folder import RunFolder
from finetune.run_title import run_title
from finetune.training.longer_training import more_steps, resume_command

SIZES = range(SHORTEST, 17)
"""Copies are counted for n-grams of these sizes, and of the headline's size."""
SHOWN = 10
"""The model's texts that the report shows."""


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """What to measure: the options of `evaluate`. `n` is the size of a copy in the headline.

    `end` is what ends a text, as `--end` has it; by default the end of text of the data.
    """

    samples: int
    prefix: str
    generation: GenerationOptions
    n: int
    max_tokens: int
    bits: Bits
    end: str | None

    def end_option(self, data: Data) -> str:
        return str(data.description.end_of_text) if self.end is None else self.end

    def as_settings(self, end: str) -> dict[str, str | int | float]:
        """What report.json records."""
        generation, sampling = self.generation, self.generation.sampling
        return {
            "samples": self.samples,
            "length": generation.length,
            "prefix": self.prefix,
            "temperature": sampling.temperature,
            "top_k": sampling.top_k,
            "top_p": sampling.top_p,
            "seed": generation.seed,
            "n": self.n,
            "max_tokens": self.max_tokens,
            "bits": self.bits,
            "end": end,
        }


def open_both(checkpoint: Path, folder: Path, save: int | None = None) -> tuple[CheckpointFolder, Data]:
    """The checkpoint and the data. Raises CheckpointError, DataError where they do not belong together."""
    source, data = open_save(checkpoint, save), open_data(folder)
    if vocabulary_differs(source.folder, folder):
        raise DataError(
            f"{folder} was prepared with another vocabulary than {source.folder} has: "
            f"prepare it again with --vocabulary {source.folder}."
        )
    if not len(data.train):
        raise DataError(f"{folder} has no training documents, so nothing can be copied from them: prepare more text.")
    return source, data


class WrittenTexts(NamedTuple):
    """What the model wrote, as asked and at several temperatures."""

    passages: list[Passage]
    by_temperature: dict[float, list[Passage]]


def evaluate_checkpoint(source: CheckpointFolder, data: Data, options: EvaluationOptions) -> EvaluationReport:
    """Measure everything. Raises SettingError where the prefix or the end marker does not suit the model."""
    description, generation = data.description, options.generation
    end, end_option = description.end_of_text, options.end_option(data)
    model, by_temperature = write_texts(source, options, parse_end_marker(end_option, source))
    # After the texts, since TensorFlow keeps a model's memory when its session is closed.
    surprising = MostSurprising()
    train, validation = perplexities(source, data, options.max_tokens, generation.seed, surprising)
    human = human_passages(data, options.samples, generation.length, generation.seed)
    matches = longest_matches([*model, *human], data.train.tokens, end)
    decode = decoder(source.tokenizer, end)
    sizes = sorted({*SIZES, options.n} & set(range(generation.length + 1)))
    run = RunFolder(source.folder).whole
    return EvaluationReport(
        format=FORMAT,
        checkpoint=source.folder.resolve().name,
        title=run_title(source.folder),
        save=source.save,
        step=source.step,
        parameters=count_parameters(source.hparams),
        corpus_sha256=description.corpus_sha256,
        documents=description.documents,
        tokens=description.tokens,
        settings=options.as_settings(end_option),
        n=options.n,
        train=train,
        validation=validation,
        log=run.log(),
        texts=compare_with_human(model, human, matches, sizes),
        examples=longest_copies(model, matches[: len(model)], data.train, decode, options.n),
        samples=[options.prefix + decode(passage.tokens) for passage in model[:SHOWN]],
        marked=[
            mark_copies(passage, copied_tokens(passage, match, options.n), source.tokenizer)
            for passage, match in zip(model[:SHOWN], matches[:SHOWN], strict=False)
        ],
        human_samples=[decode(passage.tokens) for passage in human[:SHOWN]],
        temperatures=compare_temperatures(by_temperature, human, decode, options.prefix),
        surprising=surprising.passages(source.tokenizer, end),
        resume=resume_hint(run),
        made=versions(),
    )


def write_texts(source: CheckpointFolder, options: EvaluationOptions, end: EndMarker) -> WrittenTexts:
    with checkpoint_engine(source, options.bits, end) as engine:
        written = model_passages(engine, options.prefix, options.samples, options.generation, "write")
        others = passages_by_temperature(engine, options.prefix, options.samples, options.generation)
    return WrittenTexts(written, others)


def resume_hint(run: RunFolder) -> str | None:
    """The command that trains the run longer; None for a run of gpt-2-simple."""
    description = run.description
    if description is None:
        return None
    steps = max([int(description.options.get("steps", 0)), *(entry.step for entry in run.log()[-1:])])
    return resume_command(run.folder, description.options, more_steps(steps))


def perplexities(
    source: CheckpointFolder, data: Data, most: int, seed: int, surprising: MostSurprising
) -> tuple[Perplexity | None, Perplexity | None]:
    """The perplexity on training documents and on validation documents: `most` tokens of each, or as many as both have."""
    from app.engine.tensorflow import TensorflowEngine

    end, held_out = data.description.end_of_text, data.description.tokens["validation"]
    engine = TensorflowEngine(source, threads=cores_allowed())
    with closing(engine.session):
        train = measure_perplexity(engine, data.train, end, min(most, held_out or most), seed, "read training text")
        validation = measure_perplexity(
            engine, data.validation, end, most, seed, "read validation text", surprising.add
        )
    return train, validation


def compare_with_human(
    model: Sequence[Passage], human: Sequence[Passage], matches: Sequence[Matches], sizes: Sequence[int]
) -> ModelAndHuman:
    """The same figures for both. `matches` has those of the model's texts first, then those of the human ones."""
    most = min(sum(len(passage.tokens) for passage in passages) for passages in (model, human) if passages)

    def figures(passages: Sequence[Passage], found: Sequence[Matches]) -> TextFigures:
        return TextFigures(
            variety=measure_variety(passages, most),
            copying=copy_rates(passages, found, sizes),
            lengths=[len(passage.tokens) for passage in passages],
        )

    return ModelAndHuman(
        model=figures(model, matches[: len(model)]),
        human=figures(human, matches[len(model) :]) if human else None,
    )


def versions() -> dict[str, str]:
    libraries = ("numpy", "onnxruntime", "tensorflow", "tokenizers", "matplotlib")
    installed = {library: importlib.metadata.version(library) for library in libraries}
    return {"at": datetime.now(UTC).isoformat(timespec="seconds"), "gpt-2-cloud-run": app.__version__} | installed
