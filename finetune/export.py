"""`export`: turn a gpt-2-simple checkpoint into the bundle that the app serves.

    python -m finetune export --checkpoint checkpoint/run1 --out models/NAME

Weights are rounded to 8 bits, the graph is written, and then the bundle is held against gpt-2-simple itself: the
bundle writes a text, TensorFlow reads it, and the logits at every position are compared. One that strays is refused.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from tqdm import tqdm

from app.engine.base import Engine
from app.engine.bundle import FILES, FORMAT, Bundle, End, Manifest, Parity, Template, sha256
from app.engine.checkpoint import CheckpointFolder, open_checkpoint
from app.engine.sampling import softmax
from app.engine.tokenizer import END_OF_TEXT
from app.errors import BundleError, SettingError

Bits = Literal[8, 4, 32]
PARITY_TOKENS = 192
# Largest mean divergence, in nats, from TensorFlow that rounding explains; beyond it something is wrong.
LIMITS = {32: 1e-6, 8: 0.05, 4: 1.0}


def export(
    checkpoint: Path,
    out: Path,
    bits: Bits = 8,
    end: str = END_OF_TEXT,
    template: Template = "text",
) -> None:
    """Turn a gpt-2-simple checkpoint into a bundle that the app serves.

    Args:
        checkpoint: the folder that gpt-2-simple wrote, such as checkpoint/run1
        out: the bundle's folder, such as models/NAME; an older bundle there is replaced
        bits: bits per weight: 8 (fast, all but exact), 4 (fastest, rougher) or 32 (exact)
        end: what ends a text: a string, or the id of a token
        template: how a question is put to the model: text (as it is), qa ([QUESTION] … [ANSWER]) or chat (turns)
    """
    source = open_checkpoint(checkpoint)
    mark = end_mark(end, source)
    refuse_strangers(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        with tqdm(total=4, desc="read", bar_format="{l_bar}{bar:20}| {n_fmt}/{total_fmt} [{elapsed}]") as progress:
            write_files(source, bits, aside, progress)
            progress.set_description("compare with TensorFlow")
            manifest = describe(source, bits, mark, template, out.name, aside)
            write_manifest(aside, manifest)
            parity = measure(source, Bundle(aside, manifest))
            refuse_stray(parity, bits)
            write_manifest(aside, msgspec.structs.replace(manifest, parity=parity))
            progress.update()
        replace_folder(aside, out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    size = sum((out / name).stat().st_size for name in FILES) / 1e6
    print(f"{out}: {size:.1f} MB at {bits} bits, mean divergence from TensorFlow {parity.mean_kl:.1e} nats")


def end_mark(end: str, source: CheckpointFolder) -> End:
    if not end:
        raise SettingError("--end is empty: give the string that ends a text, or the id of a token.")
    if not end.isdecimal():
        return End(text=end)
    if int(end) >= source.hparams.n_vocab:
        raise SettingError(
            f"--end is token {end} and the vocabulary has {source.hparams.n_vocab}: give an id below that."
        )
    return End(token=int(end))


def refuse_strangers(out: Path) -> None:
    """An existing folder is replaced only if it is a bundle: nobody's files are lost to a slip of the keyboard."""
    if out.exists() and not (out / "manifest.json").is_file() and (not out.is_dir() or any(out.iterdir())):
        raise SettingError(f"--out is {out}, which exists and is not a bundle: name a new folder.")


def write_files(source: CheckpointFolder, bits: Bits, folder: Path, progress: tqdm[None]) -> None:
    import onnx

    from finetune.checkpoint import read_weights
    from finetune.graph import build

    weights = read_weights(source)
    progress.update()
    progress.set_description(f"round to {bits} bits")
    model = build(source.hparams, weights, bits)
    progress.update()
    progress.set_description("write")
    graph, data, vocabulary = FILES
    onnx.save_model(model, str(folder / graph), save_as_external_data=True, location=data, size_threshold=1024)
    source.tokenizer.save(folder / vocabulary)
    progress.update()


def describe(source: CheckpointFolder, bits: Bits, end: End, template: Template, name: str, folder: Path) -> Manifest:
    libraries = ("gpt-2-simple", "tensorflow", "onnx", "onnxruntime", "tokenizers")
    versions = {library: importlib.metadata.version(library) for library in libraries}
    return Manifest(
        format=FORMAT,
        name=name,
        hparams=source.hparams,
        bits=bits,
        end=end,
        template=template,
        training={"checkpoint": source.save, "step": source.step},
        parity=Parity(tokens=0, max_difference=0.0, mean_kl=0.0, same_choice=0.0),
        made={"at": datetime.now(UTC).isoformat(timespec="seconds")} | versions,
        files={file: sha256(folder / file) for file in FILES},
    )


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


def replace_folder(aside: Path, out: Path) -> None:
    """Put the finished folder in the place of the old one, keeping what else lies there (the model's card)."""
    aside.chmod(0o755)
    if not out.exists():
        aside.rename(out)
        return
    for path in out.iterdir():
        if path.name not in (*FILES, "manifest.json"):
            (shutil.copytree if path.is_dir() else shutil.copy2)(path, aside / path.name)
    old = aside.with_name(f"{aside.name}-old")
    out.rename(old)
    aside.rename(out)
    shutil.rmtree(old)
