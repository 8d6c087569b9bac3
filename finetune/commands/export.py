"""`export`: turn a checkpoint into a bundle for the app, or into other programs' formats.

    python -m finetune export --checkpoint checkpoint/run1 --out models/NAME
    python -m finetune export --checkpoint checkpoint/run1 --out NAME --format huggingface
    python -m finetune export --checkpoint checkpoint/run1 --out NAME --format gguf

A bundle's weights are rounded to 8 bits unless --bits says otherwise. Its logits are then compared with TensorFlow's; a
bundle that is too far off is not written. A bundle in models/ becomes the default: models/DEFAULT names it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from app.engine.bundle import BATCH, FILES, EndMarker, Parity, read_manifest
from app.engine.checkpoint_folder import CheckpointFolder
from app.engine.default_bundle import is_bundle
from app.engine.profile import Profile
from app.engine.tokenizer import END_OF_TEXT
from app.errors import BundleError, SettingError
from finetune.checkpoint import open_save, read_finite_weights
from finetune.default_choice import choose_new, refuse_name
from finetune.export.bits_choice import CANDIDATES, DIVERGENCE, Divergences
from finetune.export.bundle_writer import WRITING_STEPS, write_bundle
from finetune.export.end_markers import end_token, find_end_marker
from finetune.export.profile_options import ProfileOptions
from finetune.export.quantization import Bits
from finetune.folder import refuse_overwriting, replace_folder, written_aside
from finetune.progress_bar import progress_bar
from finetune.run_folder import RunFolder

Format = Literal["bundle", "huggingface", "gguf"]
NOTHING_GIVEN = ProfileOptions()


def export(
    checkpoint: Path,
    out: Path,
    *,
    bits: Bits | Literal["auto"] | None = None,
    divergence: float | None = None,
    end: str | None = None,
    format: Format = "bundle",  # noqa: A002  The command line says --format.
    save: int | None = None,
    profile: Annotated[ProfileOptions, Parameter(name="*")] = NOTHING_GIVEN,
) -> None:
    """Turn a gpt-2-simple checkpoint into a bundle that the app serves, or into what other programs load.

    Args:
        checkpoint: the folder that gpt-2-simple or `train` wrote, such as checkpoint/run1, or a save in it, such as
            checkpoint/run1/model-500
        out: the folder to write, such as models/NAME; an older export of the same format there is replaced
        bits: bits per weight: 8 (fast, nearly exact), 4 (fastest, less exact), 32 (exact) or auto (a bundle's fastest
            within --divergence); 8 by default, and always 32 in a Hugging Face folder
        divergence: with --bits auto, how far a bundle may stray from the checkpoint, in nats per token on its held-out
            data or, where that is gone, on text that it writes; 0.005 by default
        end: what ends a text: a string, or the id of a token; by default what `train` recorded, and the string
            <|endoftext|> for runs of gpt-2-simple
        format: bundle (for the app), huggingface (for transformers) or gguf (for llama.cpp and Ollama)
        save: the number of a save, such as 500 for model-500; by default the newest
        profile: how the model wants to be used and shown
    """
    source = open_save(checkpoint, save)
    run = RunFolder(source.folder).description
    marker = find_end_marker(end, run, source)
    described = profile.profile(source)
    if bits == "auto":
        if format != "bundle":
            raise SettingError(f"--bits is auto, which is for bundles, and --format is {format}: give --bits a number.")
        choose_bits(source, out, DIVERGENCE if divergence is None else divergence, marker, described)
    elif divergence is not None:
        raise SettingError(f"--divergence is {divergence:g}, which is for --bits auto: give that too, or leave it out.")
    elif format == "huggingface":
        export_huggingface(source, out, bits, marker, described)
    elif format == "gguf":
        export_gguf(source, out, bits or 8, marker, described)
    else:
        export_bundle(source, out, bits or 8, marker, described)


def export_bundle(source: CheckpointFolder, out: Path, bits: Bits, end: EndMarker, profile: Profile) -> None:
    refuse_overwriting(out, is_bundle(out), "a bundle")
    refuse_name(out)
    with written_aside(out) as aside:
        parity = write_with_progress(source, aside, out.name, bits, end, profile)
        replace_folder(aside, out, (*FILES, *BATCH, "manifest.json"))
    print("\n".join([described_bundle(out, bits, parity), *choose_new(out)]))


def write_with_progress(
    source: CheckpointFolder, folder: Path, name: str, bits: Bits, end: EndMarker, profile: Profile
) -> Parity:
    with progress_bar("read", WRITING_STEPS + 1) as progress:
        return write_bundle(source, folder, name, bits, end, profile, progress)


def described_bundle(out: Path, bits: Bits, parity: Parity) -> str:
    size = megabytes(out, [*read_manifest(out).files])
    return f"{out}: {size} at {bits} bits, mean divergence from TensorFlow {parity.mean_kl:.1e} nats"


def choose_bits(source: CheckpointFolder, out: Path, divergence: float, end: EndMarker, profile: Profile) -> None:
    """Export the bundle of the fewest bits that strays little enough, and say what was measured."""
    # Written so that NaN is refused too.
    if not 0 < divergence < math.inf:
        raise SettingError(f"--divergence is {divergence:g}: give the nats per token that a bundle may stray, above 0.")
    refuse_overwriting(out, is_bundle(out), "a bundle")
    refuse_name(out)
    divergences = Divergences(source)
    for bits in CANDIDATES:
        with written_aside(out) as aside:
            try:
                parity = write_with_progress(source, aside, out.name, bits, end, profile)
            except BundleError as error:
                if bits == CANDIDATES[-1]:
                    raise
                print(f"{bits} bits: {error}", flush=True)
                continue
            strays, text = divergences.measure(aside)
            print(f"{bits} bits stray by {strays:.2g} nats per token on {text}", flush=True)
            if strays <= divergence or bits == CANDIDATES[-1]:
                replace_folder(aside, out, (*FILES, *BATCH, "manifest.json"))
                break
    print("\n".join([described_bundle(out, bits, parity), *choose_new(out)]))


def export_huggingface(
    source: CheckpointFolder, out: Path, bits: Bits | None, end: EndMarker, profile: Profile
) -> None:
    from finetune.formats import huggingface_writer

    if bits not in {None, 32}:
        raise SettingError(f"--bits is {bits}, and a Hugging Face folder always has 32: leave --bits out.")
    if end.text not in {None, END_OF_TEXT}:
        raise SettingError(
            f"--end is {end.text!r}, and in a Hugging Face folder a token ends a text: give the id of that token."
        )
    token = end_token(end, source)
    refuse_overwriting(out, huggingface_writer.is_export(out), "a Hugging Face folder that export wrote")
    with written_aside(out) as aside, progress_bar("read", 2) as progress:
        weights = read_finite_weights(source)
        progress.update()
        progress.set_description("write")
        huggingface_writer.write_huggingface(source, weights, aside, end, token, profile)
        progress.update()
        replace_folder(aside, out, huggingface_writer.FILES)
    print(
        f"{out}: {megabytes(out, huggingface_writer.FILES)}, for transformers' AutoModelForCausalLM and AutoTokenizer"
    )


def export_gguf(source: CheckpointFolder, out: Path, bits: Bits, end: EndMarker, profile: Profile) -> None:
    from finetune.formats import gguf

    token = end_token(end, source)
    refuse_overwriting(out, gguf.is_export(out), "a GGUF folder that export wrote")
    with written_aside(out) as aside, progress_bar("read", 2) as progress:
        weights = read_finite_weights(source)
        progress.update()
        progress.set_description(f"round to {bits} bits")
        gguf.write_gguf(source, weights, aside, out.name, bits, end, token, profile)
        progress.update()
        replace_folder(aside, out, gguf.files(out))
    print(f"{out}: {megabytes(out, gguf.files(out))} at {bits} bits, for llama.cpp and `ollama create`")


def megabytes(folder: Path, files: Sequence[str]) -> str:
    return f"{sum((folder / name).stat().st_size for name in files) / 1e6:.1f} MB"
