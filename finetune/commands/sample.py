"""`sample`: print texts that a checkpoint or a bundle writes, with the engine that the app serves with.

    python -m finetune sample --checkpoint checkpoint/run1 --prefix "Why did"

A checkpoint is first rounded to a temporary bundle, as `export` does it, so the texts are those that the app would write.
One text is printed as it is written. Several are printed one after another, each followed by a line of =.
"""

from __future__ import annotations

import io
import math
import os
import secrets
import sys
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path

from app.engine.generation import GenerationOptions, generate
from app.engine.sampling import Sampling
from app.errors import SettingError
from finetune.export.checkpoint_engine import engine_for
from finetune.export.quantization import Bits
from finetune.sampled_texts import encode_prefix, sample_texts

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
    with engine_for(checkpoint, bits, end) as engine:
        if nsamples == 1:
            tokens = encode_prefix(engine, prefix)
            print_pieces(chain([prefix], (delta.text for delta in generate(engine, tokens, options)), ["\n"]))
        else:
            texts = sample_texts(engine, prefix, nsamples, options)
            print_pieces(f"{prefix}{sampled.text}\n{DELIMITER}" for sampled in texts)


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
