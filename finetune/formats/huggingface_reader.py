"""Reads a Hugging Face folder of a GPT-2, such as DialoGPT, and writes a checkpoint.

Only safetensors is read: a pytorch_model.bin can run programs when it is loaded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from app.engine.bundle import Hparams
from app.engine.checkpoint_folder import open_checkpoint
from app.errors import CheckpointError
from finetune.checkpoint import Array, variable_shapes, write_checkpoint
from finetune.formats.huggingface import CONFIG, WEIGHTS, read_json, tensor_name
from finetune.formats.huggingface_vocabulary import compare_tokenizers, write_vocabulary

Size = Annotated[int, msgspec.Meta(ge=1)]
DTYPES = ("F32", "F16", "BF16")


class HuggingFaceConfig(msgspec.Struct, frozen=True, kw_only=True):
    """config.json. The defaults are those of transformers."""

    model_type: str = ""
    vocab_size: Size = 50257
    n_positions: Size = 1024
    n_embd: Size = 768
    n_head: Size = 12
    n_layer: Size = 12
    n_inner: int | None = None
    activation_function: str = "gelu_new"
    layer_norm_epsilon: float = 1e-5
    scale_attn_weights: bool = True
    scale_attn_by_inverse_layer_idx: bool = False
    add_cross_attention: bool = False

    @property
    def hparams(self) -> Hparams:
        return Hparams(
            n_vocab=self.vocab_size,
            n_ctx=self.n_positions,
            n_embd=self.n_embd,
            n_head=self.n_head,
            n_layer=self.n_layer,
        )


class ShardIndex(msgspec.Struct, frozen=True):
    """model.safetensors.index.json: which file a tensor is in."""

    weight_map: dict[str, str]


def convert_to_checkpoint(source: Path, folder: Path) -> Hparams:
    """Write the model of a Hugging Face folder as a gpt-2-simple checkpoint into an empty folder. Returns its shape.

    Raises CheckpointError where a file is damaged or the model is not GPT-2 as OpenAI made it.
    """
    hparams = read_shape(source)
    write_vocabulary(source, folder, hparams)
    write_checkpoint(folder, hparams, convert_weights(source, hparams), vocabulary=folder)
    compare_tokenizers(source, open_checkpoint(folder))
    return hparams


def read_shape(source: Path) -> Hparams:
    """The shape in config.json. Raises CheckpointError where the model computes anything that OpenAI's GPT-2 does not."""
    path = source / CONFIG
    config = read_json(path, HuggingFaceConfig, "the description of a GPT-2")
    supported: dict[str, tuple[object, ...]] = {
        "model_type": ("gpt2",),
        "activation_function": ("gelu_new", "gelu_pytorch_tanh"),  # Two names of one function.
        "layer_norm_epsilon": (1e-5,),
        "scale_attn_weights": (True,),
        "scale_attn_by_inverse_layer_idx": (False,),
        "add_cross_attention": (False,),
        "n_inner": (None, 4 * config.n_embd),
    }
    for key, values in supported.items():
        if (value := getattr(config, key)) not in values:
            raise CheckpointError(
                f"{path} has {key} {json.dumps(value)} where gpt-2-simple's GPT-2 has {json.dumps(values[-1])}: "
                "this model cannot be imported."
            )
    if config.n_embd % config.n_head:
        raise CheckpointError(
            f"{path} has n_embd {config.n_embd}, which {config.n_head} heads cannot share equally: copy it again."
        )
    return config.hparams


def convert_weights(source: Path, hparams: Hparams) -> dict[str, Array]:
    """gpt-2-simple's variables, in 32 bits. Raises CheckpointError where one is missing, of another shape or unknown."""
    stored = dict(read_tensors(source))
    drop_tied_head(stored, source)
    weights = {name: take_variable(stored, name, shape, source) for name, shape in variable_shapes(hparams).items()}
    if stored:
        raise CheckpointError(f"{source} has {min(stored)}, which no GPT-2 has: this model cannot be imported.")
    return weights


def drop_tied_head(stored: dict[str, Array], source: Path) -> None:
    """Keep the output head as the embedding: in GPT-2 they are one matrix, which folders store under either name or both.

    Raises CheckpointError where the two differ.
    """
    head = stored.pop("lm_head.weight", None)
    if head is not None and not np.array_equal(head, stored.setdefault(tensor_name("wte"), head)):
        raise CheckpointError(
            f"{source} has an output head (lm_head) of its own, and GPT-2 uses its embedding: "
            "this model cannot be imported."
        )


def take_variable(stored: dict[str, Array], name: str, shape: tuple[int, ...], source: Path) -> Array:
    """Remove one of gpt-2-simple's variables from `stored` and return it in `shape`. Raises CheckpointError."""
    tensor = stored.pop(tensor_name(name), None)
    # Only gpt-2-simple's matrices have a leading dimension of 1.
    expected = shape[1:] if name.endswith("/w") else shape
    if tensor is None or tensor.shape != expected:
        found = "not there" if tensor is None else list(tensor.shape)
        raise CheckpointError(
            f"{source}: {tensor_name(name)} should be {list(expected)} by config.json and is {found}: "
            "copy the whole folder again."
        )
    return tensor.reshape(shape)


def read_tensors(source: Path) -> Iterator[tuple[str, Array]]:
    """All tensors by name, in float32. Names begin with transformer. or lm_head.; causal masks of old folders are left out."""
    import ml_dtypes  # noqa: F401  Teaches NumPy bfloat16.
    from safetensors import SafetensorError, safe_open

    for path in weight_files(source):
        try:
            with safe_open(path, framework="numpy") as file:
                for name in file.keys():  # noqa: SIM118  It is not a mapping.
                    full = name if name.startswith("lm_head.") else f"transformer.{name.removeprefix('transformer.')}"
                    if re.search(r"\.attn\.(masked_)?bias$", full):
                        continue
                    if (dtype := file.get_slice(name).get_dtype()) not in DTYPES:
                        raise CheckpointError(f"{path} has {name} as {dtype}: save it in 32 or 16 bits.")
                    yield full, file.get_tensor(name).astype(np.float32)
        except (SafetensorError, OSError):
            raise CheckpointError(f"{path} is missing or damaged: copy the whole folder again.") from None


def weight_files(source: Path) -> list[Path]:
    """The safetensors files of a folder. Raises CheckpointError where there are none."""
    if (source / WEIGHTS).is_file():
        return [source / WEIGHTS]
    if (index := source / f"{WEIGHTS}.index.json").is_file():
        names = set(read_json(index, ShardIndex, "an index of weights").weight_map.values())
        return [source / Path(name).name for name in sorted(names)]
    if list(source.glob("pytorch_model*.bin")):
        convert = f"GPT2LMHeadModel.from_pretrained({str(source)!r}).save_pretrained('NEW')"
        raise CheckpointError(
            f"{source} has pytorch_model.bin, which can run programs, and no {WEIGHTS}: "
            f"let transformers write one, {convert}."
        )
    raise CheckpointError(f"{source / WEIGHTS} is missing: copy the whole folder again.")
