"""The weights of a gpt-2-simple checkpoint: names, shapes, reading, writing, initialization.

The variables are `model/wte` [n_vocab, n_embd], `model/wpe` [n_ctx, n_embd], `model/hN/attn/c_attn/w` [1, n_embd, 3·n_embd]
and so on; names here omit the leading `model/`. TensorFlow is imported where it is used, so that
`python -m finetune --help` starts without it.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine.bundle import Hparams
from app.engine.checkpoint_folder import VOCABULARY_FILES, CheckpointFolder, open_checkpoint
from app.errors import CheckpointError

Array = NDArray[np.float32]


def variable_shapes(hparams: Hparams) -> dict[str, tuple[int, ...]]:
    """The name and shape of every variable of a GPT-2 with these hyperparameters."""
    d = hparams.n_embd
    shapes: dict[str, tuple[int, ...]] = {"wpe": (hparams.n_ctx, d), "wte": (hparams.n_vocab, d)}
    for layer in range(hparams.n_layer):
        h = f"h{layer}"
        for norm in ("ln_1", "ln_2"):
            shapes |= {f"{h}/{norm}/g": (d,), f"{h}/{norm}/b": (d,)}
        projections = {
            "attn/c_attn": (d, 3 * d),
            "attn/c_proj": (d, d),
            "mlp/c_fc": (d, 4 * d),
            "mlp/c_proj": (4 * d, d),
        }
        for name, (rows, columns) in projections.items():
            shapes |= {f"{h}/{name}/w": (1, rows, columns), f"{h}/{name}/b": (columns,)}
    return shapes | {"ln_f/g": (d,), "ln_f/b": (d,)}


def initial_weights(hparams: Hparams, seed: int = 0) -> dict[str, Array]:
    """GPT-2's random initialization: normal with σ 0.02 (0.01 for the position embeddings), gains 1, biases 0."""
    random = np.random.default_rng(seed)
    weights: dict[str, Array] = {}
    for name, shape in variable_shapes(hparams).items():
        if name.endswith("/g"):
            weights[name] = np.ones(shape, np.float32)
        elif name.endswith("/b"):
            weights[name] = np.zeros(shape, np.float32)
        else:
            width = np.float32(0.01 if name == "wpe" else 0.02)
            weights[name] = random.standard_normal(shape, np.float32) * width
    return weights


def read_weights(checkpoint: CheckpointFolder) -> dict[str, Array]:
    """All variables of the save. Raises CheckpointError if it is damaged or does not have the shapes of hparams.json."""
    import tensorflow as tf

    try:
        reader = tf.train.load_checkpoint(str(checkpoint.prefix))
        stored = reader.get_variable_to_shape_map()
        for name, shape in variable_shapes(checkpoint.hparams).items():
            if tuple(stored.get(f"model/{name}", ())) != shape:
                there = stored.get(f"model/{name}", "not there")
                message = f"{checkpoint.prefix}: model/{name} should be {list(shape)} by hparams.json and is {there}"
                raise CheckpointError(message, "copy the whole checkpoint folder again")
        return {name: reader.get_tensor(f"model/{name}") for name in variable_shapes(checkpoint.hparams)}
    except (tf.errors.OpError, ValueError, RuntimeError, IndexError):  # Its reader raises all of these.
        raise CheckpointError(f"{checkpoint.prefix} is damaged", "copy the whole checkpoint folder again") from None


def read_finite_weights(checkpoint: CheckpointFolder) -> dict[str, Array]:
    """`read_weights`, refusing what training has ruined: CheckpointError names the variable that is not finite."""
    weights = read_weights(checkpoint)
    for name, weight in weights.items():
        if not np.isfinite(weight).all():
            raise CheckpointError(
                f"{checkpoint.prefix}: model/{name} holds numbers that are not finite: export an earlier save."
            )
    return weights


def newest_whole(folder: Path) -> tuple[CheckpointFolder, dict[str, Array]]:
    """The newest save that can be read, and its weights. Warns on stderr where it is not the newest of all.

    Raises CheckpointError if no save can be read.
    """
    found = open_checkpoint(folder)
    try:
        return found, read_weights(found)
    except CheckpointError as damage:
        for save in older_saves(folder):
            older = replace(found, save=save)
            with contextlib.suppress(CheckpointError):
                weights = read_weights(older)
                print(f"{folder / found.save} is damaged: using the save before it, {save}.", file=sys.stderr)
                return older, weights
        raise damage from None


def older_saves(folder: Path) -> list[str]:
    """The saves that `checkpoint` lists before the newest one, latest first."""
    note = (folder / "checkpoint").read_text(encoding="utf-8")
    saves = re.findall(r'^all_model_checkpoint_paths: *"(.+)"', note, re.MULTILINE)
    return [re.split(r"[/\\]", save)[-1] for save in reversed(saves)][1:]


def write_checkpoint(
    folder: Path,
    hparams: Hparams,
    weights: Mapping[str, Array],
    vocabulary: Path,
    step: int = 0,
    older: Sequence[str] = (),
) -> None:
    """Write a folder that gpt-2-simple loads, or add a save to it.

    Args:
        folder: the checkpoint's folder, created if needed
        hparams: the model's hyperparameters
        weights: as `read_weights` returns them
        vocabulary: a folder with encoder.json and vocab.bpe
        step: the save's number
        older: the saves to keep listed in `checkpoint`, oldest first

    The file `checkpoint` is replaced last, and that decides: a stop before it leaves the older saves as they were.
    Raises CheckpointError when the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / "hparams.json", msgspec.json.encode(hparams))
    for name in VOCABULARY_FILES:
        replace_file(folder / name, (vocabulary / name).read_bytes())
    save = f"model-{step}"
    write_save(folder / save, weights)
    replace_text(folder / "counter", f"{step}\n")
    replace_text(folder / "checkpoint", save_note([*older, save]))


def save_note(saves: Sequence[str]) -> str:
    """The text of the file `checkpoint` in TensorFlow's format: the newest save, then all saves, oldest first."""
    lines = [f'model_checkpoint_path: "{saves[-1]}"', *(f'all_model_checkpoint_paths: "{save}"' for save in saves), ""]
    return "\n".join(lines)


def write_save(prefix: Path, weights: Mapping[str, Array]) -> None:
    import tensorflow as tf

    # In a graph, since importing gpt_2_simple turns eager execution off for the whole process. The weights are fed, since the
    # constants of a graph are limited to 2 GB.
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        names = [f"model/{name}" for name in weights]
        tensors = [tf.compat.v1.placeholder(tf.float32, weight.shape) for weight in weights.values()]
        save = tf.raw_ops.SaveV2(
            prefix=str(prefix), tensor_names=names, shape_and_slices=[""] * len(names), tensors=tensors
        )
        try:
            session.run(save, dict(zip(tensors, weights.values(), strict=True)))
        except tf.errors.OpError as error:
            remove_save(prefix)
            reason = error.message.splitlines()[0]
            raise CheckpointError(
                f"{prefix} could not be written ({reason}): free space on the disk and try again."
            ) from None


def remove_save(prefix: Path) -> None:
    for path in prefix.parent.glob(f"{prefix.name}.*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def replace_text(path: Path, text: str) -> None:
    replace_file(path, text.encode())


def replace_file(path: Path, content: bytes) -> None:
    """Write a small file in one go: a stop leaves the old file or the new one. A file that has this content is left alone."""
    if path.is_file() and path.read_bytes() == content:
        return
    aside = path.with_name(f".{path.name}.new")
    try:
        aside.write_bytes(content)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
