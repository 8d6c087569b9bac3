"""A checkpoint becomes a Hugging Face folder that transformers loads, or one sentence says why not."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2.sandbox
import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from app.api.conversation import ChatMessage
from app.api.openai_prompts import turns_of
from app.engine.checkpoint_folder import open_checkpoint
from app.engine.prompts import turn_texts
from app.engine.templates import Template, layout_of
from app.engine.tokenizer import END_OF_TEXT
from app.errors import CheckpointError, SettingError
from finetune.checkpoint import read_weights, write_checkpoint
from finetune.commands.export import export
from finetune.export.profile_options import ProfileOptions
from finetune.formats.chat_templates import jinja_template
from finetune.formats.huggingface_writer import FILES
from tests.conftest import TEXTS, write_tiny
from tests.finetune.formats.huggingface_folders import (
    change_weights,
)


def test_the_names_and_shapes_are_those_of_transformers(folder: Path) -> None:
    """They are those that transformers 5.23 writes for a GPT2LMHeadModel, without its tied head."""
    shapes = {name: weight.shape for name, weight in load_file(folder / "model.safetensors").items()}
    block = {
        "ln_1.weight": (32,),
        "ln_1.bias": (32,),
        "attn.c_attn.weight": (32, 96),
        "attn.c_attn.bias": (96,),
        "attn.c_proj.weight": (32, 32),
        "attn.c_proj.bias": (32,),
        "ln_2.weight": (32,),
        "ln_2.bias": (32,),
        "mlp.c_fc.weight": (32, 128),
        "mlp.c_fc.bias": (128,),
        "mlp.c_proj.weight": (128, 32),
        "mlp.c_proj.bias": (32,),
    }
    expected = {f"transformer.h.{layer}.{name}": shape for layer in range(3) for name, shape in block.items()}
    expected |= {"transformer.wte.weight": (300, 32), "transformer.wpe.weight": (64, 32)}
    assert shapes == expected | {"transformer.ln_f.weight": (32,), "transformer.ln_f.bias": (32,)}
    assert {path.name for path in folder.iterdir()} == set(FILES)


def test_the_tokenizer_agrees(checkpoint: Path, folder: Path) -> None:
    ours = open_checkpoint(checkpoint).tokenizer
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    for text in [TEXTS[0], " two  spaces\n\n", "Why? 鸭子 🦆"]:
        assert tokenizer.encode(text).ids == ours.encode(text)
    assert tokenizer.encode(END_OF_TEXT).ids == [ours.end_of_text]


def test_the_configuration(folder: Path, checkpoint: Path) -> None:
    end = open_checkpoint(checkpoint).tokenizer.end_of_text
    config = json.loads((folder / "config.json").read_text())
    assert (config["model_type"], config["architectures"]) == ("gpt2", ["GPT2LMHeadModel"])
    assert (config["vocab_size"], config["n_positions"], config["n_embd"]) == (300, 64, 32)
    assert (config["n_head"], config["n_layer"], config["n_inner"]) == (4, 3, None)
    assert config["eos_token_id"] == config["bos_token_id"] == end
    assert json.loads((folder / "generation_config.json").read_text()) == {"bos_token_id": end, "eos_token_id": end}
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    assert (settings["model_max_length"], settings["eos_token"], settings["add_bos_token"]) == (64, END_OF_TEXT, False)
    assert "chat_template" not in settings


def test_the_tokenizer_begins_texts_with_the_end_token_where_training_did(checkpoint: Path, tmp_path: Path) -> None:
    tokenizer = open_checkpoint(checkpoint).tokenizer
    export(
        checkpoint,
        tmp_path / "out",
        end=str(tokenizer.end_of_text),
        format="huggingface",
        profile=ProfileOptions(template="chat"),
    )
    encoded = tokenizers.Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json")).encode("Why")
    assert encoded.ids == [tokenizer.end_of_text, *tokenizer.encode("Why")]
    chat = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())["chat_template"]
    assert (
        render(chat, [{"role": "user", "content": "Why?"}], bos_token="<|endoftext|>")
        == "<|endoftext|>Why?<|endoftext|>"
    )


def render(source: str, messages: Sequence[dict[str, str]], **variables: str) -> str:
    """Render a chat template as transformers does."""
    jinja = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    return jinja.from_string(source).render(messages=messages, add_generation_prompt=True, **variables)


said = st.text(max_size=12) | st.sampled_from(["Why?", " Why? ", "\n", "\xa0\u3000", "{{ x }}", "[ANSWER] a", "'\"\\"])
message = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "developer", "user", "assistant"]), "content": said},
)


@pytest.mark.parametrize("template", ["qa", "chat"])
@given(messages=st.lists(message, max_size=6), newest=said)
def test_the_chat_template_is_that_of_the_app(template: Template, messages: list[dict[str, str]], newest: str) -> None:
    """A conversation is the text that serving and training make of it, whoever speaks in what order and however blank."""
    messages = [*messages, {"role": "user", "content": newest}]
    turns = turns_of([ChatMessage(**message) for message in messages])  # type: ignore[arg-type]
    layout = layout_of(template)
    end = END_OF_TEXT if layout.ends_turns else ""
    expected = "".join(text + end for text in turn_texts(template, turns)) + layout.cue
    assert render(jinja_template(template, END_OF_TEXT) or "", messages) == expected


@pytest.mark.parametrize("template", ["qa", "chat"])
def test_the_chat_template_is_in_the_folder(checkpoint: Path, tmp_path: Path, template: Template) -> None:
    export(checkpoint, tmp_path / "out", format="huggingface", profile=ProfileOptions(template=template))
    source = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())["chat_template"]
    assert source == jinja_template(template, END_OF_TEXT)


def test_an_older_export_is_replaced_and_its_model_card_kept(checkpoint: Path, theirs: Path, tmp_path: Path) -> None:
    (theirs / "README.md").write_text("card")
    export(checkpoint, theirs, end="5", format="huggingface")
    assert json.loads((theirs / "config.json").read_text())["eos_token_id"] == 5
    assert (theirs / "README.md").read_text() == "card"
    assert list(tmp_path.iterdir()) == [theirs]


def test_a_model_that_export_did_not_write_is_not_replaced(checkpoint: Path, theirs: Path) -> None:
    """The folder has the same files, but transformers wrote them: that model may be worth more than this one."""
    change_weights(theirs, lambda weights: weights)
    before = (theirs / "model.safetensors").read_bytes()
    with pytest.raises(SettingError, match="is not a Hugging Face folder that export wrote"):
        export(checkpoint, theirs, format="huggingface")
    assert (theirs / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bits": 8}, "--bits is 8, and a Hugging Face folder always has 32"),
        ({"bits": 4}, "--bits is 4"),
        ({"end": "[END]"}, r"--end is '\[END\]', and in a Hugging Face folder a token ends a text"),
        ({"end": "300"}, "--end is token 300"),
    ],
)
def test_options_that_do_not_apply_are_refused(
    checkpoint: Path, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingError, match=message) as caught:
        export(checkpoint, tmp_path / "out", format="huggingface", **options)
    assert re.fullmatch(r"[^\n]+\.", str(caught.value))
    assert list(tmp_path.iterdir()) == []


def rewrite(checkpoint: Path, folder: Path, **weights: np.ndarray) -> None:
    source = open_checkpoint(checkpoint)
    write_checkpoint(folder, source.hparams, read_weights(source) | weights, vocabulary=checkpoint)


@pytest.mark.parametrize("form", ["huggingface", "gguf"])
def test_weights_that_are_not_finite_are_not_exported(checkpoint: Path, tmp_path: Path, form: Any) -> None:
    rewrite(checkpoint, tmp_path / "run", wpe=np.full((64, 32), np.nan, np.float32))
    with pytest.raises(CheckpointError, match="model/wpe holds numbers that are not finite"):
        export(tmp_path / "run", tmp_path / "out", format=form)
    assert list(tmp_path.iterdir()) == [tmp_path / "run"]


@pytest.mark.parametrize("form", ["huggingface", "gguf"])
def test_a_vocabulary_without_an_end_of_text_needs_an_end_token(tmp_path: Path, form: Any) -> None:
    write_tiny(tmp_path / "run")
    path = tmp_path / "run" / "encoder.json"
    path.write_text(path.read_text().replace(END_OF_TEXT, "nothing"))
    with pytest.raises(SettingError, match=r"--end names no token and .* has no <\|endoftext\|>"):
        export(tmp_path / "run", tmp_path / "out", format=form)
    export(tmp_path / "run", tmp_path / "out", end="5", format=form)
