"""Prompt templates for other programs: Jinja (transformers, llama.cpp) and Go (Ollama).

app/engine/prompts.py has the same templates for the app and for training. Each ends where the model's turn begins.
"""

from __future__ import annotations

import json

from app.engine.bundle import Template
from app.engine.prompts import TAGS


def jinja_template(template: Template, end: str) -> str | None:
    """The template for transformers and llama.cpp, or None for plain text. In a chat, `end` ends each turn."""
    if template == "text":
        return None
    if template == "chat":
        return f"{{% for message in messages %}}{{{{ message['content'] + {json.dumps(end)} }}}}{{% endfor %}}"
    person, model = TAGS[template]
    tag = f"'{model}' if message['role'] == 'assistant' else '{person}'"
    turn = f"{{{{ ({tag}) + message['content'] + '\\n' }}}}"
    next_turn = f"{{% if add_generation_prompt %}}{model.rstrip()}{{% endif %}}"
    return f"{{% for message in messages %}}{turn}{{% endfor %}}{next_turn}"


def ollama_template(template: Template, end: str) -> str:
    """The template for Ollama's Modelfile."""
    if template == "text":
        return "{{ .Prompt }}"
    if template == "chat":
        return f"{{{{ range .Messages }}}}{{{{ .Content }}}}{end}{{{{ end }}}}"
    person, model = TAGS[template]
    tag = f'{{{{ if eq .Role "assistant" }}}}{model}{{{{ else }}}}{person}{{{{ end }}}}'
    return f"{{{{ range .Messages }}}}{tag}{{{{ .Content }}}}\n{{{{ end }}}}{model.rstrip()}"
