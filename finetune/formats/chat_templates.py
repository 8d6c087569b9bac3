"""Prompt templates for other programs: Jinja (transformers, llama.cpp) and Go (Ollama).

They write what app/engine/prompts.py writes for the app and for training, and end where the model's turn begins. Only Ollama
leaves the white space around a turn as it is, since its templates cannot remove it.
"""

from __future__ import annotations

import json

from app.engine.bundle import Template
from app.engine.prompts import TAGS, ends_turns, model_cue

# The parts in capitals are replaced.
JINJA = (
    "{% set ns = namespace(speaker='') %}"
    "{% for message in messages %}"
    "{% set text = (message['content'] or '') | trim %}"
    "{% set speaker = 'model' if message['role'] == 'assistant' else 'person' %}"
    "{% if text or loop.last %}"
    "{% if speaker == ns.speaker %}{{ '\\n' + text if text else '' }}"
    "{% else %}{{ (BETWEEN if ns.speaker else '') + ((MODEL if speaker == 'model' else PERSON) + ' ' + text) | trim }}"
    "{% endif %}"
    "{% set ns.speaker = speaker %}"
    "{% endif %}"
    "{% endfor %}"
)
GO = (
    '{{ $last := "" }}'
    "{{ range .Messages }}{{ if .Content }}"
    '{{ $speaker := "person" }}{{ if eq .Role "assistant" }}{{ $speaker = "model" }}{{ end }}'
    "{{ if eq $speaker $last }}\n{{ else }}"
    '{{ if $last }}BETWEEN{{ end }}{{ if eq $speaker "model" }}MODEL{{ else }}PERSON{{ end }}'
    "{{ end }}"
    "{{ .Content }}{{ $last = $speaker }}"
    "{{ end }}{{ end }}"
)


def jinja_template(template: Template, end: str) -> str | None:
    """The template for transformers and llama.cpp, or None for plain text. In a chat, `end` ends each turn."""
    if template == "text":
        return None
    person, model = map(json.dumps, TAGS[template])
    between = json.dumps(end if ends_turns(template) else "\n")
    turns = JINJA.replace("PERSON", person).replace("MODEL", model).replace("BETWEEN", between)
    if ends_turns(template):
        return f"{turns}{{{{ {between} }}}}"
    return f"{turns}{{% if add_generation_prompt %}}{{{{ {json.dumps(model_cue(template))} }}}}{{% endif %}}"


def ollama_template(template: Template, end: str) -> str:
    """The template for Ollama's Modelfile."""
    if template == "text":
        return "{{ .Prompt }}"
    person, model = (f"{tag} ".lstrip() for tag in TAGS[template])
    between = end if ends_turns(template) else "\n"
    turns = GO.replace("PERSON", person).replace("MODEL", model).replace("BETWEEN", between)
    return turns + (end if ends_turns(template) else model_cue(template))
