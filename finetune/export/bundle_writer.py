"""Writes a checkpoint as a bundle: the graph, its weights, the vocabulary, the manifest."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from tqdm import tqdm

from app.engine.bundle import FILES, FORMAT, Bundle, EndMarker, Hparams, Manifest, Parity, crc32, sha256
from app.engine.checkpoint_folder import CheckpointFolder
from app.engine.profile import Profile
from app.engine.tokenizer import Tokenizer
from finetune.checkpoint import Array, read_finite_weights
from finetune.export.parity import check_parity, measure_parity
from finetune.export.quantization import Bits
from finetune.readable_json import readable_json
from finetune.run_folder import RunFolder

WRITING_STEPS = 3
"""How often `write_model` updates its progress bar."""


def write_bundle(
    source: CheckpointFolder,
    folder: Path,
    name: str,
    bits: Bits,
    end: EndMarker,
    profile: Profile,
    progress: tqdm[None],
) -> Parity:
    """Write a whole bundle into an empty folder and measure its parity.

    Raises CheckpointError where the save is damaged, and BundleError where the bundle strays from TensorFlow.
    """
    write_model(source, bits, folder, progress)
    manifest = describe_bundle(source, folder, name, bits, end, profile)
    progress.set_description("compare with TensorFlow")
    parity = measure_parity(source, Bundle(folder, manifest))
    check_parity(parity, bits)
    write_manifest(folder, msgspec.structs.replace(manifest, parity=parity))
    progress.update()
    return parity


def write_model(source: CheckpointFolder, bits: Bits, folder: Path, progress: tqdm[None]) -> None:
    """Write a bundle's files, all but the manifest."""
    weights = read_finite_weights(source)
    progress.update()
    write_files(source.hparams, weights, source.tokenizer, bits, folder, progress)


def write_files(
    hparams: Hparams,
    weights: Mapping[str, Array],
    tokenizer: Tokenizer,
    bits: Bits,
    folder: Path,
    progress: tqdm[None],
) -> None:
    """Write a bundle's files of these weights."""
    from finetune.export.graph import build_graph
    from finetune.export.graph_builder import write_graph

    progress.set_description(f"round to {bits} bits")
    model = build_graph(hparams, weights, bits)
    progress.update()
    progress.set_description("write")
    graph, data, vocabulary = FILES
    write_graph(model, folder / graph, folder / data)
    (folder / data).chmod(0o644)  # A container may run as any user.
    tokenizer.save(folder / vocabulary)
    progress.update()


def describe_bundle(
    source: CheckpointFolder, folder: Path, name: str, bits: Bits, end: EndMarker, profile: Profile
) -> Manifest:
    """The manifest of the files in `folder`, without a parity."""
    return Manifest(
        format=FORMAT,
        name=name,
        hparams=source.hparams,
        bits=bits,
        end=end,
        **msgspec.structs.asdict(profile),
        training=training_facts(source),
        made=made_now("gpt-2-simple", "tensorflow"),
        files=checksums(folder, sha256),
        crc32=checksums(folder, crc32),
    )


def made_now(*libraries: str) -> dict[str, str]:
    """When a bundle was made, and with which versions of the libraries that have a part in it."""
    versions = {name: importlib.metadata.version(name) for name in (*libraries, "onnx", "onnxruntime", "tokenizers")}
    return {"at": datetime.now(UTC).isoformat(timespec="seconds")} | versions


def checksums(folder: Path, checksum: Callable[[Path], str]) -> dict[str, str]:
    return {file: checksum(folder / file) for file in FILES}


def training_facts(source: CheckpointFolder) -> dict[str, int | float | str]:
    """Which save this is and, if the run is described, what it was trained on and its validation loss."""
    facts: dict[str, int | float | str] = {"checkpoint": source.save, "step": source.step}
    run = RunFolder(source.folder)
    if (description := run.description) is None:
        return facts
    facts |= {"corpus_sha256": description.corpus_sha256, "init": description.init}
    loss = next((entry.validation for entry in run.log() if entry.step == source.step), None)
    return facts if loss is None else facts | {"validation_loss": loss}


def write_manifest(folder: Path, manifest: Manifest) -> None:
    (folder / "manifest.json").write_bytes(readable_json(manifest))
