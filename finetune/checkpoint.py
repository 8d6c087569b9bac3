"""The weights of a gpt-2-simple checkpoint: names, shapes, reading, writing, initialization.

The variables are `model/wte` [n_vocab, n_embd], `model/wpe` [n_ctx, n_embd], `model/hN/attn/c_attn/w` [1, n_embd, 3·n_embd]
and so on; names here omit the leading `model/`. TensorFlow is imported where it is used, so that
`python -m finetune --help` starts without it.
"""

from __future__ import annotations

import contextlib
import glob
import math
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine.bundle import Hparams
from app.engine.checkpoint_folder import (
    COPY_AGAIN,
    CheckpointFolder,
    find_save,
    lacking_files,
    listed,
    name_of_save,
    open_checkpoint,
    saves_in,
)
from app.engine.vocabulary_files import encode_byte_pairs, read_byte_pairs, read_text
from app.errors import CheckpointError
from finetune.openai_shapes import StoredShape, stored_shape
from finetune.run_lock import is_locked, try_lock

Array = NDArray[np.float32]


def count_parameters(hparams: Hparams) -> int:
    return sum(map(math.prod, variable_shapes(hparams).values()))


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


def open_save(path: Path, save: int | None = None) -> CheckpointFolder:
    """`open_checkpoint`, which tells from the weights what model's files a folder lacks. Raises CheckpointError."""
    try:
        return open_checkpoint(path, save)
    except CheckpointError:
        folder, name = find_save(path, save)
        if not (lacking := lacking_files(folder)):
            raise
        shape = stored_shape(read_shapes(folder / name))
        raise CheckpointError(f"{folder} lacks {listed(lacking)}", where_to_find(lacking, shape, folder)) from None


def where_to_find(files: Sequence[str], shape: StoredShape | None, folder: Path) -> str:
    """How to get the files that belong to weights of this shape."""
    these = "this file" if len(files) == 1 else f"these {len(files)} files"
    if shape is None or shape.model is None:
        told = f"; by its weights it has {shape}" if shape else ""
        return f"copy {these} from the folder of the model that was trained{told}"
    home = Path("models") / shape.model
    fetch = "" if home.is_dir() else f" (`python -m finetune download {shape.model}` makes it)"
    return f"by its weights it is a {shape.model}, so copy {these} from {home}{fetch} into {folder}"


def read_shapes(prefix: Path, named: Path | None = None) -> dict[str, list[int]]:
    """The shape of every variable of a save. Raises CheckpointError, which names `named`, if it is damaged."""
    import tensorflow as tf

    with refuse_damage(named or prefix):
        shapes: dict[str, list[int]] = tf.train.load_checkpoint(str(prefix)).get_variable_to_shape_map()
        return shapes


@contextlib.contextmanager
def refuse_damage(prefix: Path) -> Iterator[None]:
    """Raises CheckpointError where TensorFlow cannot read a save."""
    import tensorflow as tf

    try:
        yield
    except (tf.errors.OpError, ValueError, RuntimeError, IndexError):  # Its reader raises all of these.
        others = [name for name in saves_in(prefix.parent) if name != prefix.name]
        remedy = f"copy it again, or name another save, such as {prefix.parent / others[-1]}" if others else COPY_AGAIN
        raise CheckpointError(f"{prefix} is damaged", remedy) from None


def read_weights(checkpoint: CheckpointFolder) -> dict[str, Array]:
    """All variables of the save. Raises CheckpointError if it is damaged or does not have the shapes of hparams.json."""
    import tensorflow as tf

    refuse_other_shape(checkpoint, read_shapes(checkpoint.held.prefix, checkpoint.prefix))
    with refuse_damage(checkpoint.prefix):
        reader = tf.train.load_checkpoint(str(checkpoint.held.prefix))
        names = variable_shapes(checkpoint.hparams)
        return {name: reader.get_tensor(f"model/{name}").astype(np.float32, copy=False) for name in names}


def refuse_other_shape(checkpoint: CheckpointFolder, stored: Mapping[str, Sequence[int]]) -> None:
    """Raises CheckpointError unless the stored variables have the shapes that hparams.json gives, and no layer more."""
    if any(name.startswith(f"model/h{checkpoint.hparams.n_layer}/") for name in stored):
        raise CheckpointError(
            f"{checkpoint.prefix} has more layers than the {checkpoint.hparams.n_layer} of hparams.json",
            what_belongs_there(stored_shape(stored)),
        )
    for name, shape in variable_shapes(checkpoint.hparams).items():
        if tuple(stored.get(f"model/{name}", ())) != shape:
            there = stored.get(f"model/{name}", "not there")
            raise CheckpointError(
                f"{checkpoint.prefix}: model/{name} should be {list(shape)} by hparams.json and is {there}",
                what_belongs_there(stored_shape(stored)),
            )


def what_belongs_there(told: StoredShape | None) -> str:
    """What to do where hparams.json does not fit weights of this shape."""
    if told is None:
        return "these are not the weights of a GPT-2 that gpt-2-simple or `train` saved, so name another folder"
    if told.model is None:
        return "hparams.json is of another model: copy it from the one that was trained"
    model = told.model
    return f"the weights are those of a {model}, so copy hparams.json, encoder.json and vocab.bpe from models/{model}"


def read_finite_weights(checkpoint: CheckpointFolder) -> dict[str, Array]:
    """`read_weights`, refusing what training has ruined: CheckpointError names the variable that is not finite."""
    weights = read_weights(checkpoint)
    for name, weight in weights.items():
        if not np.isfinite(weight).all():
            raise CheckpointError(
                f"{checkpoint.prefix}: model/{name} holds numbers that are not finite", "use an earlier save"
            )
    return weights


def newest_whole(path: Path, save: int | None = None) -> tuple[CheckpointFolder, dict[str, Array]]:
    """The newest save that can be read, and its weights. Warns on stderr where it is not the newest of all.

    Raises CheckpointError if no save can be read, or not the one that `path` or `save` names.
    """
    try:
        newest = open_save(path, save)
        return newest, read_finite_weights(newest)
    except CheckpointError as damage:
        for older in older_saves(path) if path.is_dir() and save is None else []:
            with contextlib.suppress(CheckpointError):
                before = open_save(path / older)
                weights = read_finite_weights(before)
                print(f"{damage.problem}: using the save before it, {older}.", file=sys.stderr)
                return before, weights
        raise damage from None


def older_saves(folder: Path) -> list[str]:
    """The saves that `checkpoint` lists before the newest one, latest first."""
    if not (folder / "checkpoint").is_file():
        return []
    note = read_text(folder / "checkpoint")
    saves = re.findall(r'^all_model_checkpoint_paths: *"(.+)"', note, re.MULTILINE)
    return [name_of_save(save) for save in reversed(saves)][1:]


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
    if vocabulary.resolve() != folder.resolve():
        for name, content in encode_byte_pairs(read_byte_pairs(vocabulary)).items():
            replace_file(folder / name, content)
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
            reason = reason_in(error.message)
            raise CheckpointError(
                f"{prefix} could not be written ({reason}): free space on the disk and try again."
            ) from None


def reason_in(message: str) -> str:
    """The system's words in TensorFlow's message, which has where its graph failed before and behind them."""
    told = [line.rpartition("; ")[2] for line in message.splitlines() if "; " in line]
    return told[-1] if told else message.partition("\n")[0]


def remove_save(prefix: Path) -> None:
    for path in prefix.parent.glob(f"{prefix.name}.*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def replace_text(path: Path, text: str) -> None:
    replace_file(path, text.encode())


def replace_file(path: Path, content: bytes) -> None:
    """Write a small file in one go: a stop leaves the old file or the new one. A file that has this content is left alone."""
    if path.is_file() and path.read_bytes() == content:
        return
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.new"):  # By a process that was killed.
        if is_locked(left) is False:
            left.unlink(missing_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.new")  # Two processes may write it at once.
    try:
        with aside.open("wb") as file:
            try_lock(file.fileno(), alone=True)
            file.write(content)
            file.flush()
            aside.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        aside.unlink(missing_ok=True)
