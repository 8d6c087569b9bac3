"""Prompt templates for other programs: Jinja (transformers, llama.cpp) and Go (Ollama).

They write what app/engine/prompts.py writes for the app and for training, and end where the model's turn begins. Only Ollama
leaves the white space around a turn as it is, since its templates cannot remove it.
"""

from __future__ import annotations

import json
import re

from app.engine.templates import NAMED, Template, is_template, layout_of

BEGIN = "{{ bos_token }}"
# The parts in capitals are replaced.
JINJA = (
    "{% set ns = namespace(speaker='') %}"
    "{% for message in messages %}"
    "{% set text = (message['content'] or '') | trim %}"
    "{% set speaker = 'model' if message['role'] == 'assistant' else 'person' %}"
    "{% if text or loop.last %}"
    "{% if speaker == ns.speaker %}{{ '\\n' + text if text else '' }}"
    "{% else %}{{ (BETWEEN if ns.speaker else '') + ((MODEL if speaker == 'model' else PERSON) + text) | trim }}"
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
    layout = layout_of(template)
    parts = {"PERSON": layout.person, "MODEL": layout.model, "BETWEEN": end if layout.ends_turns else layout.between}
    turns = re.sub("PERSON|MODEL|BETWEEN", lambda part: json.dumps(parts[part[0]]), JINJA)
    if layout.ends_turns:
        return f"{turns}{{{{ {json.dumps(end)} }}}}"
    return f"{turns}{{% if add_generation_prompt %}}{{{{ {json.dumps(layout.cue)} }}}}{{% endif %}}"


def template_of_jinja(written: str) -> Template | None:
    """The template of which `jinja_template` wrote this, perhaps with a token in front; None for any other one."""
    text = written.removeprefix(BEGIN)
    pattern = re.sub(
        "PERSON|MODEL|BETWEEN", lambda part: rf'(?P<{part[0].lower()}>"(?:[^"\\]|\\.)*")', re.escape(JINJA)
    )
    if not (found := re.match(pattern, text)):
        return None
    person, model, between = (json.loads(found[name]) for name in ("person", "model", "between"))
    candidates = [*NAMED, f"{person}%{between}{model}%"]
    return next((each for each in candidates if is_template(each) and jinja_template(each, between) == text), None)


def ollama_template(template: Template, end: str) -> str:
    """The template for Ollama's Modelfile."""
    if template == "text":
        return "{{ .Prompt }}"
    layout = layout_of(template)
    parts = {"PERSON": layout.person, "MODEL": layout.model, "BETWEEN": end if layout.ends_turns else layout.between}
    turns = re.sub("PERSON|MODEL|BETWEEN", lambda part: in_go(parts[part[0]]), GO)
    return turns + in_go(end if layout.ends_turns else layout.cue)


def in_go(text: str) -> str:
    """Text in a template of Go's, where two braces begin an expression."""
    return text.replace("{{", '{{ "{{" }}')
