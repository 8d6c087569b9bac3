"""Reads the config.json of a Hugging Face folder and refuses what is no GPT-2 as OpenAI made it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import msgspec

from app.engine.json_text import shortened
from app.errors import CheckpointError
from finetune.formats.huggingface import CONFIG, read_json

Size = Annotated[int, msgspec.Meta(ge=1, le=2**24)]
# Names of other models in transformers, which it takes for GPT-2's too, and an old one.
OTHER_NAMES = {
    "hidden_size": "n_embd",
    "n_ctx": "n_positions",
    "max_position_embeddings": "n_positions",
    "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
}


class HuggingFaceConfig(msgspec.Struct, frozen=True, kw_only=True):
    """config.json. The defaults are those of transformers."""

    model_type: str = ""
    vocab_size: Size = 50257
    n_positions: Size = 1024
    n_embd: Size = 768
    n_head: Size = 12
    n_layer: Annotated[int, msgspec.Meta(ge=1, le=2**12)] = 12
    n_inner: int | None = None
    activation_function: str = "gelu_new"
    layer_norm_epsilon: float = 1e-5
    scale_attn_weights: bool = True
    scale_attn_by_inverse_layer_idx: bool = False
    add_cross_attention: bool = False
    tie_word_embeddings: bool = True
    eos_token_id: object = None

    @property
    def end_token(self) -> int | None:
        """The token that ends a text, the first if there are several; None if none is named."""
        ends = self.eos_token_id if isinstance(self.eos_token_id, list) else [self.eos_token_id]
        return next((end for end in ends if isinstance(end, int)), None)


def read_config(source: Path) -> HuggingFaceConfig:
    """Read config.json. Raises CheckpointError where the model computes anything that OpenAI's GPT-2 does not."""
    path = source / CONFIG
    given = read_json(path, dict[str, Any], "the description of a GPT-2")
    try:
        renamed = {OTHER_NAMES[name]: value for name, value in given.items() if name in OTHER_NAMES}
        config = msgspec.convert(renamed | given, HuggingFaceConfig)
    except msgspec.ValidationError as error:
        refuse_other_architecture(given.get("model_type"), path)
        raise CheckpointError(
            f"{path} is not the description of a GPT-2 ({error}): name a Hugging Face folder of a GPT-2."
        ) from None
    refuse_other_computation(config, path)
    if config.n_embd % config.n_head:
        raise CheckpointError(
            f"{path} has n_embd {config.n_embd}, which {config.n_head} heads cannot share equally: copy it again."
        )
    return config


def refuse_other_architecture(model_type: object, path: Path) -> None:
    # The oldest folders do not say what they are. Their tensors will.
    if model_type not in {"gpt2", "", None}:
        raise CheckpointError(
            f'{path} has model_type {shortened(json.dumps(model_type))} where gpt-2-simple\'s GPT-2 has "gpt2": '
            "this model cannot be imported."
        )


def refuse_other_computation(config: HuggingFaceConfig, path: Path) -> None:
    refuse_other_architecture(config.model_type, path)
    supported: dict[str, tuple[object, ...]] = {
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
                f"{path} has {key} {shortened(json.dumps(value))} where gpt-2-simple's GPT-2 has {json.dumps(values[-1])}: "
                "this model cannot be imported."
            )
