"""A model's profile survives other programs' formats: transformers' folder, and Ollama's Modelfile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.engine.bundle import read_manifest
from app.engine.profile import Profile, SamplingDefaults
from app.engine.templates import Template
from finetune.commands.export import export
from finetune.commands.import_ import import_
from finetune.export.profile_options import ProfileOptions
from finetune.formats.chat_templates import jinja_template, ollama_template, template_of_jinja
from finetune.generation_config import generation_config

TUNED = ProfileOptions(template=r"Q: %\nA: %", temperature=0.6, top_p=0.9, repetition_penalty=1.1, length=50)


def test_a_hugging_face_folder_and_back(checkpoint: Path, tmp_path: Path) -> None:
    """By way of a checkpoint, and at once as a bundle."""
    export(checkpoint, tmp_path / "theirs", format="huggingface", end="299", profile=TUNED)
    written = json.loads((tmp_path / "theirs" / "generation_config.json").read_text())
    assert written == {
        "bos_token_id": 299,
        "do_sample": True,
        "eos_token_id": 299,
        "max_new_tokens": 50,
        "repetition_penalty": 1.1,
        "temperature": 0.6,
        "top_k": 0,
        "top_p": 0.9,
    }
    import_(str(tmp_path / "theirs"), out=tmp_path / "ours", bundle=True)
    import_(str(tmp_path / "theirs"), out=tmp_path / "run")
    export(tmp_path / "run", tmp_path / "again", profile=ProfileOptions(template=TUNED.template))
    ours, again = (read_manifest(tmp_path / name) for name in ("ours", "again"))
    expected = SamplingDefaults(temperature=0.6, top_p=0.9, top_k=0, repetition_penalty=1.1, length=50)
    assert ours.sampling == again.sampling == expected
    assert ours.template == again.template == "Q: %\nA: %"


@pytest.mark.parametrize(
    ("defaults", "config"),
    [
        ({}, {}),
        ({"temperature": 0, "top_p": 0.9, "length": 5}, {"do_sample": False, "max_new_tokens": 5}),
        ({"top_p": 0}, {"do_sample": True, "top_k": 0, "top_p": 1}),
        ({"presence_penalty": 1}, {"do_sample": True, "top_k": 0, "top_p": 1}),
    ],
)
def test_transformers_has_other_words_for_some_defaults(defaults: dict[str, Any], config: dict[str, Any]) -> None:
    assert generation_config(SamplingDefaults(**defaults)) == config


@pytest.mark.parametrize(
    "template", ["qa", "chat", "[USER] %\n[BOT] %", "### Human:\n%\n\n### Model:\n%", '"Q" %\n\\A %']
)
def test_our_own_chat_templates_are_known_again(template: Template) -> None:
    written = jinja_template(template, "<|endoftext|>")
    assert written is not None
    assert template_of_jinja(written) == template_of_jinja("{{ bos_token }}" + written) == template
    assert template_of_jinja(written + " ") is None


def test_the_modelfile_has_parameters_and_all_tags(checkpoint: Path, tmp_path: Path) -> None:
    options = ProfileOptions(
        template=r"[USER] %\n[BOT] %", questions="qa", temperature=0.7, top_p=0.8, length=1_000_000
    )
    export(checkpoint, tmp_path / "mine", end="299", format="gguf", profile=options)
    lines = (tmp_path / "mine" / "Modelfile").read_text().splitlines()
    parameters = [line.removeprefix("PARAMETER ") for line in lines if line.startswith("PARAMETER")]
    assert parameters == [
        "num_ctx 64",
        "top_k 0",
        "top_p 0.8",
        "repeat_penalty 1",
        "temperature 0.7",
        "num_predict 1000000",
        *(f'stop """{tag}"""' for tag in ("[USER]", "[BOT]", "[QUESTION]", "[ANSWER]")),
    ]


def test_braces_in_a_tag_are_text_in_ollamas_template() -> None:
    assert '{{ "{{" }}u}} ' in ollama_template("{{u}} %\n{{m}} %", "")


def test_nothing_is_said_without_defaults(checkpoint: Path, tmp_path: Path) -> None:
    export(checkpoint, tmp_path / "mine", end="299", format="gguf")
    assert "temperature" not in (tmp_path / "mine" / "Modelfile").read_text()
    assert Profile().sampling == SamplingDefaults()
