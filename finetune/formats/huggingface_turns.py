"""How a Hugging Face model takes the turns of a conversation: which of our templates its chat template is."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

from app.engine.templates import Template
from app.engine.vocabulary_files import read_text
from app.errors import CheckpointError
from finetune.formats.chat_templates import template_of_jinja
from finetune.formats.huggingface import CHAT_TEMPLATE, CONFIG, TOKENIZER_CONFIG, read_json

# DialoGPT's template: each turn, and the token that ends a text behind it. However a template spells it.
TURN_AND_END = re.compile(
    r"\{%-? for (?P<m>\w+) in messages -?%\}"
    r"\{\{-? (?P=m)(?:\.content|\[['\"]content['\"]\])(?: ?\+ ?eos_token -?\}\}|(?: -?)?\}\}\{\{-? ?eos_token -?\}\})"
    r"\{%-? endfor -?%\}"
)


def template_of(source: Path, notes: list[str]) -> Template:
    """The template that a bundle of this folder gets. `notes` says if its chat template is none of ours."""
    written = chat_template(source)
    if written is None:
        return "chat" if is_conversational(source) else "text"
    if TURN_AND_END.fullmatch(re.sub(r"\s+", " ", written).replace("} {", "}{").strip()):
        return "chat"
    if (template := template_of_jinja(written)) is not None:
        return template
    notes.append("Left out: the chat template, which is none that the app knows. Prompts are taken as they are.")
    return "text"


def chat_template(source: Path) -> str | None:
    """The chat template, from its own file or from the tokenizer's settings; the default one of several."""
    if (source / CHAT_TEMPLATE).is_file():
        return read_text(source / CHAT_TEMPLATE)
    written = settings_in(source / TOKENIZER_CONFIG).get("chat_template")
    if isinstance(written, list):
        named = {entry.get("name"): entry.get("template") for entry in written if isinstance(entry, dict)}
        written = named.get("default")
    return written if isinstance(written, str) and written else None


def is_conversational(source: Path) -> bool:
    """Whether config.json has settings for conversations, as DialoGPT's had before there were chat templates."""
    tasks = settings_in(source / CONFIG).get("task_specific_params")
    return isinstance(tasks, dict) and "conversational" in tasks


def settings_in(path: Path) -> dict[str, Any]:
    """The settings of a file that a model can do without; none where it is missing or damaged."""
    with contextlib.suppress(CheckpointError):
        return read_json(path, dict[str, Any], "a folder's settings")
    return {}
