"""`sample`: let a model write texts, as the app would serve them.

    gpt2 sample jokes --prefix "Why did"
    python -m finetune sample --checkpoint checkpoint/run1 --prefix "Why did"

A checkpoint is first rounded to a temporary bundle, as `export` does it, so the texts are those that the app would write.
One text is printed as it is written. Several are printed one after another, each followed by a line of =.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from app.engine.base import Engine
from app.engine.batch import generate
from app.engine.generation import GenerationOptions
from app.errors import SettingError
from finetune.export.quantization import Bits
from finetune.opened_model import model_folder, opened_model
from finetune.option_ranges import Count, check_range
from finetune.readable_json import readable_json
from finetune.sampled_texts import encode_prefix, sample_texts
from finetune.terminal import shown
from finetune.writing_options import WritingOptions

DELIMITER = "=" * 20 + "\n"  # gpt-2-simple's.
NOTHING_GIVEN = WritingOptions()


def sample(
    model: str | None = None,
    /,
    *,
    prefix: str = "",
    nsamples: int = 1,
    options: Annotated[WritingOptions, Parameter(name="*")] = NOTHING_GIVEN,
    json: bool = False,
    checkpoint: Path | None = None,
    save: int | None = None,
    end: str | None = None,
    bits: Bits = 8,
) -> None:
    """Print what a model writes, as the app would serve it.

    Args:
        model: a bundle, a checkpoint or a run, such as jokes, models/jokes or checkpoint/run1; by default the bundle that
            would be served
        prefix: the text to continue
        nsamples: how many texts
        options: how it writes
        json: print the texts, their seed and settings as one JSON document
        checkpoint: the model, as an option
        save: the number of a save, as in `export`
        end: what ends a text: a string, or the id of a token; as in `export`; bundles have their own
        bits: bits per weight, as in `export`; bundles have their own
    """
    if model is not None and checkpoint is not None:
        raise SettingError(f"both {model} and --checkpoint {checkpoint} name a model: name one.")
    check_range("nsamples", nsamples, Count)
    options.check()
    folder = model_folder(model) if checkpoint is None else checkpoint
    with opened_model(folder, bits, end, save) as engine:
        given = options.for_model(engine)
        if json:
            print(shown(document(engine, prefix, nsamples, given)))
        elif nsamples == 1:
            tokens = encode_prefix(engine, prefix)
            print_pieces(chain([prefix], (delta.text for delta in generate(engine, tokens, given)), ["\n"]))
        else:
            texts = sample_texts(engine, prefix, nsamples, given)
            print_pieces(f"{prefix}{sampled.text}\n{DELIMITER}" for sampled in texts)


def document(engine: Engine, prefix: str, count: int, options: GenerationOptions) -> str:
    """The texts, what they follow, and all that is needed to write them again. `ended`: before the length ran out."""
    texts = [asdict(sampled) for sampled in sample_texts(engine, prefix, count, options)]
    settings = asdict(options.sampling) | {"length": options.length}
    found = {"model": engine.name, "prefix": prefix, "seed": options.seed, "settings": settings, "texts": texts}
    return readable_json(found).decode().rstrip()


def print_pieces(pieces: Iterable[str]) -> None:
    """Print each piece at once."""
    for piece in pieces:
        print(shown(piece), end="", flush=True)
