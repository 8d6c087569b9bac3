"""Reads the weights of a Hugging Face folder of a GPT-2, under whatever names training left them.

Only safetensors is read: a pytorch_model.bin can run programs when it is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from app.engine.bundle import Hparams
from app.engine.checkpoint_folder import listed
from app.engine.wrong_files import POINTERS, wrong_file
from app.errors import CheckpointError
from finetune.checkpoint import Array, variable_shapes
from finetune.formats.huggingface import WEIGHTS, read_json, tensor_name

DTYPES = ("F32", "F16", "BF16", "F64")
# Parts of names that programs put around a model: torch.compile, DataParallel, FSDP, activation checkpointing, DeepSpeed.
WRAPPERS = {"_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"}
# What the names of GPT-2's tensors begin with. Before it are the attributes that held the GPT-2 in a program.
OWN_NAMES = re.compile(r"(?:^|\.)((?:wte|wpe|ln_f)\.|h\.\d+\.)")
HEADS = re.compile(r"(?:^|\.)((?:lm_head|v_head|multiple_choice_head)\.)")
# Outputs beside the text, which training leaves in a folder: TRL's value head, and the choice of transformers' double heads.
OTHER_HEADS = ("v_head.", "multiple_choice_head.")
HEAD = "lm_head.weight"


class ShardIndex(msgspec.Struct, frozen=True):
    """model.safetensors.index.json: which file a tensor is in."""

    weight_map: dict[str, str]


def read_tensors(source: Path, notes: list[str]) -> dict[str, Array]:
    """All tensors by transformers' names, in float32. `notes` gets what was left out. Raises CheckpointError."""
    stored: dict[str, Array] = {}
    for path, given, tensor in stored_tensors(source, notes):
        name = canonical_name(given)
        if name.startswith(OTHER_HEADS):
            notes.append(f"Left out: {given}, which does not write text.")
        elif name in stored and not np.array_equal(stored[name], tensor):
            raise CheckpointError(
                f"{path} has two different tensors for {name}, one of them {given}: keep one of them."
            )
        else:
            stored[name] = tensor
    refuse_adapters(stored, source)
    return stored


def stored_tensors(source: Path, notes: list[str]) -> Iterator[tuple[Path, str, Array]]:
    """Each tensor with its file and its name there. Causal masks of old folders are left out, since they hold no weights."""
    import ml_dtypes  # noqa: F401  Teaches NumPy bfloat16.
    from safetensors import SafetensorError, safe_open

    for path in weight_files(source):
        if found := wrong_file(path):
            raise CheckpointError(*found)
        try:
            with safe_open(path, framework="numpy") as file:
                for name in file.keys():  # noqa: SIM118  It is not a mapping.
                    if re.search(r"\.attn\.(masked_)?bias$", canonical_name(name)):
                        continue
                    if (dtype := file.get_slice(name).get_dtype()) not in DTYPES:
                        raise CheckpointError(f"{path} has {name} as {dtype}: save it in 32 or 16 bits.")
                    if (
                        dtype == "F64"
                        and (rounded := f"Rounded from 64 to 32 bits: the weights in {path.name}.") not in notes
                    ):
                        notes.append(rounded)
                    yield path, name, file.get_tensor(name).astype(np.float32, copy=False)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path} is missing or damaged ({error}): copy or download it again.") from None


def canonical_name(given: str) -> str:
    """A tensor's name in transformers: without what programs put around it, and with the `transformer.` of its GPT-2."""
    name = ".".join(part for part in given.split(".") if part not in WRAPPERS)
    if own := OWN_NAMES.search(name):
        return f"transformer.{name[own.start(1) :]}"
    head = HEADS.search(name)
    return name[head.start(1) :] if head else name


def refuse_adapters(stored: Mapping[str, Array], source: Path) -> None:
    if adapters := [name for name in stored if ".lora_" in name or ".base_layer." in name]:
        raise CheckpointError(
            f"{source} has {min(adapters)}, a part of an adapter beside the weights: let PEFT merge them, "
            "model.merge_and_unload().save_pretrained('NEW'), and import NEW."
        )


def weight_files(source: Path) -> list[Path]:
    """The safetensors files of a folder. Raises CheckpointError where there are none."""
    whole, index = source / WEIGHTS, source / f"{WEIGHTS}.index.json"
    if whole.is_file() or whole.is_symlink():
        return [whole]
    if index.is_file():
        return [source / name for name in shards_of(index)]
    if shards := sorted(source.glob("model-?????-of-?????.safetensors")):
        return [
            source / f"model-{number:05}-of-{shards[0].stem[-5:]}.safetensors"
            for number in range(1, 1 + int(shards[0].stem[-5:]))
        ]
    refuse_other_weights(source)
    others = sorted(path.name for path in source.glob("*.safetensors"))
    rename = f"; if {listed(others)} has the whole model, rename it" if others else ""
    raise CheckpointError(f"{whole} is missing: copy or download it too{rename}.")


def shards_of(index: Path) -> list[str]:
    """The names of the files of weights that an index lists. Raises CheckpointError."""
    return sorted({Path(name).name for name in read_json(index, ShardIndex, "an index of weights").weight_map.values()})


def refuse_other_weights(source: Path) -> None:
    """Raises CheckpointError where the weights are in another program's file."""
    others = ("pytorch_model*.bin", "tf_model.h5", "flax_model.msgpack")
    for path in sorted(path for pattern in others for path in source.glob(pattern)):
        if found := wrong_file(path, POINTERS):
            raise CheckpointError(*found)
    convert = f"GPT2LMHeadModel.from_pretrained({str(source)!r}{{}}).save_pretrained('NEW')"
    if list(source.glob("pytorch_model*.bin")):
        raise CheckpointError(
            f"{source} has pytorch_model.bin, which can run programs, and no {WEIGHTS}: "
            f"let transformers write one, {convert.format('')}."
        )
    for name, option in {"tf_model.h5": ", from_tf=True", "flax_model.msgpack": ", from_flax=True"}.items():
        if (source / name).is_file():
            raise CheckpointError(
                f"{source} has {name} and no {WEIGHTS}: let transformers write one, {convert.format(option)}."
            )


def convert_weights(stored: dict[str, Array], hparams: Hparams, source: Path, notes: list[str]) -> dict[str, Array]:
    """gpt-2-simple's variables. Raises CheckpointError where one is missing, of another shape, not finite or unknown."""
    shapes = variable_shapes(hparams)
    turned = is_transposed(stored, hparams)
    add_missing_biases(stored, shapes, notes)
    weights = {name: take_variable(stored, name, shape, source, turned) for name, shape in shapes.items()}
    if stored:
        layers = [name for name in stored if re.match(rf"transformer\.h\.{hparams.n_layer}\.", name)]
        what = f"and {hparams.n_layer} layers by config.json" if layers else "which no GPT-2 has"
        raise CheckpointError(f"{source} has {min(layers or stored)}, {what}: this model cannot be imported.")
    return weights


def is_transposed(stored: Mapping[str, Array], hparams: Hparams) -> bool:
    """Whether matrices are [outputs, inputs], as in PyTorch's linear layers and nanoGPT. One tells it, since some are square."""
    first = stored.get("transformer.h.0.attn.c_attn.weight")
    return first is not None and first.shape == (3 * hparams.n_embd, hparams.n_embd)


def add_missing_biases(stored: dict[str, Array], shapes: Mapping[str, Sequence[int]], notes: list[str]) -> None:
    """Add zeros where a model was trained without any bias. A model that lacks only some is damaged."""
    biases = {tensor_name(name): shape for name, shape in shapes.items() if name.endswith("/b")}
    if not biases.keys() & stored.keys():
        stored |= {name: np.zeros(shape, np.float32) for name, shape in biases.items()}
        notes.append("Added: biases of 0, since this model was trained without biases.")


def take_variable(stored: dict[str, Array], name: str, shape: tuple[int, ...], source: Path, turned: bool) -> Array:
    """Remove one of gpt-2-simple's variables from `stored` and return it in `shape`. Raises CheckpointError."""
    tensor = stored.pop(tensor_name(name), None)
    # Only gpt-2-simple's matrices have a leading dimension of 1.
    expected = shape[1:] if name.endswith("/w") else shape
    if tensor is not None and turned and name.endswith("/w"):
        tensor = tensor.T
    if tensor is None or tensor.shape != expected:
        found = "not there" if tensor is None else list(tensor.shape)
        raise CheckpointError(
            f"{source}: {tensor_name(name)} should be {list(expected)} by config.json and is {found}: "
            "copy config.json and the weights from one model."
        )
    if not np.isfinite(tensor).all():
        raise CheckpointError(
            f"{source}: {tensor_name(name)} holds numbers that are not finite: import an earlier save of this model."
        )
    return tensor.reshape(shape)
