"""Writes a checkpoint as a bundle: the graph, its weights, the vocabulary, the manifest."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec
from tqdm import tqdm

from app.engine.bundle import FILES, FORMAT, Bundle, EndMarker, Hparams, Manifest, Parity, crc32, sha256
from app.engine.checkpoint_folder import CheckpointFolder
from app.engine.profile import Profile
from app.engine.tokenizer import Tokenizer
from finetune.checkpoint import Array, read_finite_weights
from finetune.export.calibration_texts import CalibrationTexts, corpus_texts
from finetune.export.parity import Parities, check_parity, measure_parity
from finetune.export.quantization import Bits
from finetune.export.refinement import drop_batch, refine
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
    weights = write_model(source, bits, folder, progress)
    bundle = Bundle(folder, describe_bundle(source, folder, name, bits, end, profile))
    texts = corpus_texts(RunFolder(source.folder).description, source.hparams.n_ctx)
    return complete_bundle(bundle, weights, partial(measure_parity, source), "TensorFlow", progress, texts)


def complete_bundle(
    bundle: Bundle,
    weights: Mapping[str, Array],
    measure: Callable[[Bundle], Parities],
    reference: str,
    progress: tqdm[None],
    texts: CalibrationTexts | None = None,
) -> Parity:
    """Refine what `write_files` wrote, for `texts` if it has few bits, measure its parity and write the manifest.

    Raises BundleError where the bundle strays from its reference.
    """
    manifest, rounding = bundle.manifest, {}
    if manifest.bits != 32:
        progress.set_description("calibrate")
        rounding = refine(bundle, weights, texts, progress.set_description)
    progress.set_description(f"compare with {reference}")
    parities = measure(bundle)
    check_parity(parities.main, manifest.bits)
    batch = drop_batch(bundle, parities)
    if parities.batch and not batch:
        rounding["batch"] = f"none: it strayed by {parities.batch.mean_kl:.2g} nats"
    manifest = msgspec.structs.replace(manifest, parity=parities.main, batch=batch, rounding=rounding)
    files = Bundle(bundle.folder, manifest).files
    sums = {field: checksums(bundle.folder, of, files) for field, of in (("files", sha256), ("crc32", crc32))}
    write_manifest(bundle.folder, msgspec.structs.replace(manifest, **sums))
    progress.update()
    return parities.main


def write_model(source: CheckpointFolder, bits: Bits, folder: Path, progress: tqdm[None]) -> Mapping[str, Array]:
    """Write a bundle's files, all but the manifest. Returns the weights."""
    weights = read_finite_weights(source)
    progress.update()
    write_files(source.hparams, weights, source.tokenizer, bits, folder, progress)
    return weights


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


def checksums(folder: Path, checksum: Callable[[Path], str], files: Sequence[str] = FILES) -> dict[str, str]:
    return {file: checksum(folder / file) for file in files}


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
