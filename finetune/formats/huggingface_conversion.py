"""What becomes of a Hugging Face model: a checkpoint, to train on and to export, or at once a bundle, without TensorFlow."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tqdm import tqdm

from app.engine.bundle import FORMAT, Bundle, EndMarker, Manifest, Parity, crc32, sha256
from app.engine.templates import Template
from app.engine.tokenizer import END_OF_TEXT
from app.engine.vocabulary_files import write_byte_pairs
from finetune.checkpoint import write_checkpoint
from finetune.export.bundle_writer import checksums, complete_bundle, made_now, write_files
from finetune.export.parity import measure_parity_by_numpy
from finetune.export.quantization import Bits
from finetune.formats.huggingface_reader import HuggingFaceModel
from finetune.generation_config import write_sampling_defaults

BUNDLE_STEPS = 3
"""How often `write_bundle_of` updates its progress bar."""


def write_checkpoint_of(model: HuggingFaceModel, folder: Path) -> None:
    """Write the model as a gpt-2-simple checkpoint into an empty folder."""
    write_byte_pairs(model.byte_pairs, folder)
    write_checkpoint(folder, model.hparams, model.weights, vocabulary=folder)
    write_sampling_defaults(model.sampling, folder)


def write_bundle_of(
    model: HuggingFaceModel,
    folder: Path,
    name: str,
    origin: dict[str, int | float | str],
    bits: Bits,
    template: Template,
    progress: tqdm[None],
) -> Parity:
    """Write the model as a bundle into an empty folder and measure its parity.

    The files are those that `export` makes of the checkpoint. Raises BundleError where the bundle strays from its reference.
    """
    write_files(model.hparams, model.weights, model.tokenizer, bits, folder, progress)
    manifest = Manifest(
        format=FORMAT,
        name=name,
        hparams=model.hparams,
        bits=bits,
        end=EndMarker(text=END_OF_TEXT) if model.end is None else EndMarker(token=model.end),
        template=template,
        sampling=model.sampling,
        training=origin,
        made=made_now("numpy", "safetensors"),
        files=checksums(folder, sha256),
        crc32=checksums(folder, crc32),
    )
    measure = partial(measure_parity_by_numpy, model.weights)
    return complete_bundle(Bundle(folder, manifest), model.weights, measure, "NumPy", progress)
