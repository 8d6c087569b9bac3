"""`export`: turn a gpt-2-simple checkpoint into the bundle that the app serves, or into what other programs run.

    python -m finetune export --checkpoint checkpoint/run1 --out models/NAME
    python -m finetune export --checkpoint checkpoint/run1 --out NAME --format huggingface
    python -m finetune export --checkpoint checkpoint/run1 --out NAME --format gguf

For a bundle weights are rounded to 8 bits, the graph is written, and then the bundle is held against gpt-2-simple itself:
the bundle writes a text, TensorFlow reads it, and the logits at every position are compared. One that strays is refused.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np
from tqdm import tqdm

from app.engine.base import Engine
from app.engine.bundle import FILES, FORMAT, Bundle, EndMarker, Manifest, Parity, Template, sha256
from app.engine.checkpoint_folder import CheckpointFolder, open_checkpoint
from app.engine.sampling import softmax
from app.engine.tokenizer import END_OF_TEXT
from app.errors import BundleError, CheckpointError, SettingError
from finetune.folder import refuse_strangers, replace_folder, written_aside
from finetune.run_folder import RunDescription, RunFolder

if TYPE_CHECKING:
    from finetune.checkpoint import Array

Bits = Literal[8, 4, 32]
Format = Literal["bundle", "huggingface", "gguf"]
PARITY_TOKENS = 192
# Largest mean divergence, in nats, from TensorFlow that rounding explains; beyond it something is wrong.
LIMITS = {32: 1e-6, 8: 0.05, 4: 1.0}


def export(
    checkpoint: Path,
    out: Path,
    bits: Bits | None = None,
    end: str | None = None,
    template: Template | None = None,
    format: Format = "bundle",  # noqa: A002  The command line says --format.
) -> None:
    """Turn a gpt-2-simple checkpoint into a bundle that the app serves, or into what other programs run.

    Args:
        checkpoint: the folder that gpt-2-simple wrote, such as checkpoint/run1
        out: the folder to write, such as models/NAME; an older export of this format there is replaced
        bits: bits per weight: 8 (fast, all but exact), 4 (fastest, rougher) or 32 (exact); 8 if none are named, and
            always 32 in a Hugging Face folder
        end: what ends a text: a string, or the id of a token; runs of train know their own, gpt-2-simple's learn the
            string <|endoftext|>
        template: how a question is put to the model: text (as it is), qa ([QUESTION] … [ANSWER]) or chat (turns); that of
            the data it was trained on, else text
        format: bundle (for the app), huggingface (for transformers) or gguf (for llama.cpp and Ollama)
    """
    source = open_checkpoint(checkpoint)
    described = RunFolder(checkpoint).description
    mark = end_mark(known_end(described) if end is None else end, source)
    template = template or (described.template if described else "text")
    if format == "huggingface":
        export_huggingface(source, out, bits, mark, template)
    elif format == "gguf":
        export_gguf(source, out, bits or 8, mark, template)
    else:
        export_bundle(source, out, bits or 8, mark, template)


def progress_bar(total: int) -> tqdm[None]:
    return tqdm(total=total, desc="read", bar_format="{l_bar}{bar:20}| {n_fmt}/{total_fmt} [{elapsed}]")


def export_bundle(source: CheckpointFolder, out: Path, bits: Bits, end: EndMarker, template: Template) -> None:
    refuse_strangers(out, (out / "manifest.json").is_file(), "a bundle")
    with written_aside(out) as aside, progress_bar(4) as progress:
        write_files(source, bits, aside, progress)
        progress.set_description("compare with TensorFlow")
        manifest = describe(source, bits, end, template, out.name, aside)
        parity = measure(source, Bundle(aside, manifest))
        refuse_stray(parity, bits)
        write_manifest(aside, msgspec.structs.replace(manifest, parity=parity))
        progress.update()
        replace_folder(aside, out, (*FILES, "manifest.json"))
    print(f"{out}: {megabytes(out, FILES)} at {bits} bits, mean divergence from TensorFlow {parity.mean_kl:.1e} nats")


def export_huggingface(
    source: CheckpointFolder, out: Path, bits: Bits | None, end: EndMarker, template: Template
) -> None:
    from finetune.formats import huggingface

    if bits not in {None, 32}:
        raise SettingError(f"--bits is {bits}, and a Hugging Face folder keeps all 32: leave --bits out.")
    if end.text not in {None, END_OF_TEXT}:
        raise SettingError(
            f"--end is {end.text!r}, and in a Hugging Face folder a token ends a text: give the id of that token."
        )
    token = end_token(end, source)
    refuse_strangers(out, huggingface.wrote(out), "a Hugging Face folder that export wrote")
    with written_aside(out) as aside, progress_bar(2) as progress:
        weights = read_finite(source)
        progress.update()
        progress.set_description("write")
        huggingface.write_huggingface(source, weights, aside, end, token, template)
        progress.update()
        replace_folder(aside, out, huggingface.FILES)
    print(f"{out}: {megabytes(out, huggingface.FILES)}, for transformers' AutoModelForCausalLM and AutoTokenizer")


def export_gguf(source: CheckpointFolder, out: Path, bits: Bits, end: EndMarker, template: Template) -> None:
    from finetune.formats import gguf

    token = end_token(end, source)
    refuse_strangers(out, gguf.wrote(out), "a GGUF folder that export wrote")
    with written_aside(out) as aside, progress_bar(2) as progress:
        weights = read_finite(source)
        progress.update()
        progress.set_description(f"round to {bits} bits")
        gguf.write_gguf(source, weights, aside, out.name, bits, end, token, template)
        progress.update()
        replace_folder(aside, out, gguf.files(out))
    print(f"{out}: {megabytes(out, gguf.files(out))} at {bits} bits, for llama.cpp and `ollama create`")


def megabytes(folder: Path, files: Sequence[str]) -> str:
    return f"{sum((folder / name).stat().st_size for name in files) / 1e6:.1f} MB"


def end_token(end: EndMarker, source: CheckpointFolder) -> int:
    """The token that ends a text, for programs that want one even where the model learned a string."""
    token = source.tokenizer.end_of_text if end.token is None else end.token
    if token is None:
        raise SettingError(
            f"--end names no token and {source.folder}/encoder.json has no {END_OF_TEXT}: give the id of what ends a text."
        )
    return token


def read_finite(source: CheckpointFolder) -> dict[str, Array]:
    """All weights. Where nothing is compared with TensorFlow, a training that went astray is noticed here."""
    from finetune.checkpoint import read_weights

    weights = read_weights(source)
    for name, weight in weights.items():
        if not np.isfinite(weight).all():
            raise CheckpointError(
                f"{source.prefix}: model/{name} holds numbers that are not finite: export an earlier save."
            )
    return weights


def known_end(described: RunDescription | None) -> str:
    """What ends a text of this run, if its description says; stock gpt-2-simple runs have none and learn the string."""
    return str(described.end) if described else END_OF_TEXT


def end_mark(end: str, source: CheckpointFolder) -> EndMarker:
    if not end:
        raise SettingError("--end is empty: give the string that ends a text, or the id of a token.")
    if not end.isdecimal():
        return EndMarker(text=end)
    if int(end) >= source.hparams.n_vocab:
        raise SettingError(
            f"--end is token {end} and the vocabulary has {source.hparams.n_vocab}: give an id below that."
        )
    return EndMarker(token=int(end))


def write_files(source: CheckpointFolder, bits: Bits, folder: Path, progress: tqdm[None]) -> None:
    from finetune.checkpoint import read_weights
    from finetune.export.graph import build, save

    weights = read_weights(source)
    progress.update()
    progress.set_description(f"round to {bits} bits")
    model = build(source.hparams, weights, bits)
    progress.update()
    progress.set_description("write")
    graph, data, vocabulary = FILES
    save(model, folder / graph, folder / data)
    (folder / data).chmod(0o644)  # A container may run as any user.
    source.tokenizer.save(folder / vocabulary)
    progress.update()


def describe(
    source: CheckpointFolder, bits: Bits, end: EndMarker, template: Template, name: str, folder: Path
) -> Manifest:
    libraries = ("gpt-2-simple", "tensorflow", "onnx", "onnxruntime", "tokenizers")
    versions = {library: importlib.metadata.version(library) for library in libraries}
    return Manifest(
        format=FORMAT,
        name=name,
        hparams=source.hparams,
        bits=bits,
        end=end,
        template=template,
        training=training_of(source),
        made={"at": datetime.now(UTC).isoformat(timespec="seconds")} | versions,
        files={file: sha256(folder / file) for file in FILES},
    )


def training_of(source: CheckpointFolder) -> dict[str, int | float | str]:
    known: dict[str, int | float | str] = {"checkpoint": source.save, "step": source.step}
    described = RunFolder(source.folder).description
    if described is None:
        return known
    loss = next((entry.validation for entry in RunFolder(source.folder).log() if entry.step == source.step), None)
    known |= {"corpus_sha256": described.corpus_sha256, "init": described.init}
    return known if loss is None else known | {"validation_loss": loss}


def write_manifest(folder: Path, manifest: Manifest) -> None:
    (folder / "manifest.json").write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")


def measure(source: CheckpointFolder, bundle: Bundle) -> Parity:
    """Let the bundle write a text, one token at a time, and compare its logits with gpt-2-simple's on the same text."""
    from app.engine.onnx import OnnxEngine
    from app.engine.tensorflow import TensorflowEngine

    threads = len(os.sched_getaffinity(0))
    tokens, ours = write_text(OnnxEngine(bundle, threads), min(PARITY_TOKENS, source.hparams.n_ctx))
    return compare(ours, TensorflowEngine(source.folder, threads).all_logits(tokens))


def write_text(engine: Engine, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Sample a text at temperature 1. Returns its tokens [length] and the logits after each, [length, n_vocab]."""
    random = np.random.default_rng(0)
    decoder = engine.decoder(1, length)
    first = engine.tokenizer.end_of_text or 0
    tokens, logits = [first], [decoder.prefill(np.array([[first]]))[0].copy()]
    while len(tokens) < length:
        probabilities = softmax(logits[-1]).astype(np.float64)
        tokens.append(int(random.choice(len(probabilities), p=probabilities / probabilities.sum())))
        logits.append(decoder.step(np.array(tokens[-1:]))[0].copy())
    # The text is also read in one go, as a prompt is: the last logits are then those of the other path.
    logits[-1] = decoder.prefill(np.array([tokens]))[0].copy()
    return np.array(tokens), np.stack(logits)


def read_text(engine: Engine, tokens: Sequence[int]) -> np.ndarray:
    """Feed a text token by token, as it would be written. Returns the logits after each, [n, n_vocab]."""
    decoder = engine.decoder(1, len(tokens))
    logits = [decoder.prefill(np.array([tokens[:1]]))[0].copy()]
    return np.stack(logits + [decoder.step(np.array([token]))[0].copy() for token in tokens[1:]])


def compare(ours: np.ndarray, theirs: np.ndarray) -> Parity:
    """Hold logits [n, n_vocab] against TensorFlow's."""
    p, q = (rows - np.logaddexp.reduce(rows.astype(np.float64), axis=-1, keepdims=True) for rows in (theirs, ours))
    return Parity(
        tokens=len(ours),
        max_difference=float(np.abs(ours - theirs).max()),
        mean_kl=max(0.0, float((np.exp(p) * (p - q)).sum(axis=-1).mean())),
        same_choice=float((ours.argmax(-1) == theirs.argmax(-1)).mean()),
    )


def refuse_stray(parity: Parity, bits: Bits) -> None:
    # Written so that NaN is refused too.
    if not parity.mean_kl <= LIMITS[bits]:
        message = f"the bundle strays from TensorFlow by {parity.mean_kl:.2g} nats a token, more than {LIMITS[bits]:g}"
        raise BundleError(f"{message}: it was not written; try more bits.")
