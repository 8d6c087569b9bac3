"""`sample`: print texts that a checkpoint or a bundle writes, as the app would serve them.

    python -m finetune sample --checkpoint checkpoint/run1 --prefix "Why did"

A checkpoint is first rounded to a temporary bundle, as `export` does it, so the texts are those that the app would write.
One text is printed as it is written. Several are printed one after another, each followed by a line of =.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from app.engine.generation import GenerationOptions, Length, Seed, generate
from app.engine.sampling import Sampling
from finetune.export.checkpoint_engine import engine_for
from finetune.export.quantization import Bits
from finetune.option_ranges import Count, check_range, check_ranges
from finetune.sampled_texts import encode_prefix, sample_texts

DELIMITER = "=" * 20 + "\n"  # gpt-2-simple's.


def sample(
    checkpoint: Path,
    *,
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
    save: int | None = None,
) -> None:
    """Print what a checkpoint or a bundle writes, as the app would serve it.

    Args:
        checkpoint: the folder that gpt-2-simple or `train` wrote, such as checkpoint/run1, or a bundle
        prefix: the text to continue
        length: new tokens at most
        temperature: 0 always takes the likeliest token
        top_k: choose among the k likeliest, 0 for all
        top_p: choose among the likeliest that add up to p, 0 for all
        min_p: choose among those at least p times as likely as the likeliest
        repetition_penalty: above 1, tokens that were used before are less likely
        nsamples: how many texts
        seed: the same seed gives the same texts; random by default
        end: what ends a text: a string, or the id of a token; as in `export`; bundles have their own
        bits: bits per weight, as in `export`; bundles have their own
        save: the number of a save, as in `export`
    """
    sampling = Sampling(temperature, top_k, top_p, min_p, repetition_penalty=repetition_penalty)
    options = GenerationOptions(
        length=length, seed=secrets.randbelow(2**32) if seed is None else seed, sampling=sampling
    )
    check_range("length", length, Length)
    check_range("seed", options.seed, Seed)
    check_range("nsamples", nsamples, Count)
    check_ranges(sampling)
    with engine_for(checkpoint, bits, end, save) as engine:
        if nsamples == 1:
            tokens = encode_prefix(engine, prefix)
            print_pieces(chain([prefix], (delta.text for delta in generate(engine, tokens, options)), ["\n"]))
        else:
            texts = sample_texts(engine, prefix, nsamples, options)
            print_pieces(f"{prefix}{sampled.text}\n{DELIMITER}" for sampled in texts)


def print_pieces(pieces: Iterable[str]) -> None:
    """Print each piece at once."""
    for piece in pieces:
        print(piece, end="", flush=True)
