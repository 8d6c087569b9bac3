"""`sample`: print what a checkpoint writes, or a bundle, through the very engine that the app serves with.

    python -m finetune sample --checkpoint checkpoint/run1 --prefix "Why did"

A checkpoint becomes a bundle in a temporary folder first, rounded as `export` rounds it, so what is read here is what
will be served. One text appears as it is written; several follow each other with a line of = after each.
"""

from __future__ import annotations

import io
import math
import os
import secrets
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from tqdm import tqdm

from app.engine.base import Engine
from app.engine.bundle import Bundle, open_bundle
from app.engine.checkpoint_folder import open_checkpoint
from app.engine.generation import GenerationOptions, generate, needed_positions, prepare
from app.engine.onnx import OnnxEngine
from app.engine.sampling import Sampling
from app.errors import PromptTooLong, SettingError
from finetune.commands.export import Bits, describe, end_mark, known_end, write_files
from finetune.run_folder import RunFolder

DELIMITER = "=" * 20 + "\n"  # gpt-2-simple's.
# What the API allows, too.
RANGES: Mapping[str, tuple[float, float]] = {
    "length": (1, math.inf),
    "temperature": (0, 100),
    "top_k": (0, math.inf),
    "top_p": (0, 1),
    "min_p": (0, 1),
    "repetition_penalty": (0.01, 100),
    "seed": (0, math.inf),
}


def sample(
    checkpoint: Path,
    prefix: str = "",
    length: int = 100,
    temperature: float = 0.7,
    top_k: int = 0,
    top_p: float = 0.0,
    min_p: float = 0.0,
    repetition_penalty: float = 1.0,
    nsamples: int = 1,
    seed: int | None = None,
    end: str | None = None,
    bits: Bits = 8,
) -> None:
    """Print what a checkpoint writes, as it would be served.

    Args:
        checkpoint: the folder that gpt-2-simple or `train` wrote, such as checkpoint/run1, or a bundle
        prefix: the text to continue
        length: new tokens at most
        temperature: 0 always takes the likeliest token
        top_k: choose among the k likeliest, 0 for all
        top_p: choose among the likeliest that add up to p, 0 for all
        min_p: choose among those at least p times as likely as the likeliest
        repetition_penalty: above 1, what was said is less likely
        nsamples: how many texts
        seed: same seed, same texts; random if not given
        end: what ends a text: a string, or the id of a token; runs of `train` and bundles know their own
        bits: bits per weight, as in `export`; bundles have their own
    """
    chosen = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p}
    sampling = Sampling(**chosen, repetition_penalty=repetition_penalty)  # type: ignore[arg-type]
    options = GenerationOptions(
        length=length, seed=secrets.randbelow(2**32) if seed is None else seed, sampling=sampling
    )
    refuse_out_of_range(options)
    refuse_fewer_than_one("nsamples", nsamples)
    with engine_of(checkpoint, bits, end) as engine:
        if nsamples == 1:
            tokens = read_prefix(engine, prefix, options)
            print_pieces(chain([prefix], (piece.text for piece in generate(engine, tokens, options)), ["\n"]))
        else:
            texts = write_texts(engine, prefix, nsamples, options)
            print_pieces(f"{prefix}{written.text}\n{DELIMITER}" for written in texts)


def refuse_out_of_range(options: GenerationOptions) -> None:
    sampling = options.sampling
    for name, (least, most) in RANGES.items():
        value = getattr(options if hasattr(options, name) else sampling, name)
        # Written so that NaN is refused too.
        if not least <= value <= most:
            expected = f"{least:g} or more" if most == math.inf else f"between {least:g} and {most:g}"
            raise SettingError(f"--{name} is {value} and should be {expected}.")


def refuse_fewer_than_one(name: str, value: int) -> None:
    if value < 1:
        raise SettingError(f"--{name} is {value} and should be 1 or more.")


@contextmanager
def engine_of(folder: Path, bits: Bits = 32, end: str | None = None) -> Iterator[OnnxEngine]:
    """The app's engine on a checkpoint's newest save, or on a bundle as it is."""
    threads = len(os.sched_getaffinity(0))
    if (folder / "manifest.json").is_file():
        yield OnnxEngine(open_bundle(folder), threads)
        return
    source = open_checkpoint(folder)
    mark = end_mark(known_end(RunFolder(folder).description) if end is None else end, source)
    with tempfile.TemporaryDirectory(prefix="gpt-2-") as name:
        with tqdm(total=3, desc="read", leave=False, disable=None) as progress:
            write_files(source, bits, Path(name), progress)
        manifest = describe(source, bits, mark, "text", folder.resolve().name, Path(name))
        yield OnnxEngine(Bundle(Path(name), manifest), threads)


@dataclass(frozen=True)
class Written:
    """What came after a prefix, and whether it ended by itself."""

    text: str
    ended: bool


def texts_from(
    engine: Engine, prefix: str, count: int, length: int, sampling: Sampling | None = None, seed: int = 0
) -> list[str]:
    """Texts that begin with the prefix. Raises SettingError where it does not fit the window."""
    options = GenerationOptions(length=length, seed=seed, sampling=sampling or Sampling())
    return [prefix + written.text for written in write_texts(engine, prefix, count, options)]


def write_texts(engine: Engine, prefix: str, count: int, options: GenerationOptions) -> Iterator[Written]:
    """Write `count` texts, as many side by side as fit in memory."""
    tokens = read_prefix(engine, prefix, options)
    rows = max(1, engine.max_positions // needed_positions(engine, tokens, options))
    for first in range(0, count, rows):
        # A row's stream of chance depends on the seed and on its place in the batch.
        yield from write_batch(
            engine, tokens, replace(options, samples=min(rows, count - first), seed=options.seed + first)
        )


def write_batch(engine: Engine, tokens: Sequence[int], options: GenerationOptions) -> list[Written]:
    texts, ended = [""] * options.samples, [False] * options.samples
    for piece in generate(engine, tokens, options):
        texts[piece.index] += piece.text
        ended[piece.index] = piece.finish_reason == "stop"
    return [Written(*pair) for pair in zip(texts, ended, strict=True)]


def read_prefix(engine: Engine, prefix: str, options: GenerationOptions) -> list[int]:
    try:
        return prepare(engine, prefix, options)
    except PromptTooLong as error:
        raise SettingError(
            f"--prefix is {error.n_prompt_tokens} tokens long and the model's window holds {error.n_ctx}: shorten it."
        ) from None


def print_pieces(pieces: Iterable[str]) -> None:
    """Print as UTF-8, at once, until nobody reads any more."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    try:
        for piece in pieces:
            print(piece, end="", flush=True)
    except BrokenPipeError:
        # What is left in the buffer must not be tried again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
