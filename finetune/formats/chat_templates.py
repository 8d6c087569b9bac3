"""How turns are put to a model of each template, in the languages of the programs that a model goes out to.

app/engine/prompts.py has the same for the app and for training. The model's turn is next.
"""

from __future__ import annotations

import json

from app.engine.bundle import Template
from app.engine.prompts import TAGS


def jinja(template: Template, end: str) -> str | None:
    """The template for transformers and llama.cpp; none for plain text. `end` is what ends a turn of a chat."""
    if template == "text":
        return None
    if template == "chat":
        return f"{{% for message in messages %}}{{{{ message['content'] + {json.dumps(end)} }}}}{{% endfor %}}"
    person, model = TAGS[template]
    tag = f"'{model}' if message['role'] == 'assistant' else '{person}'"
    turn = f"{{{{ ({tag}) + message['content'] + '\\n' }}}}"
    next_one = f"{{% if add_generation_prompt %}}{model.rstrip()}{{% endif %}}"
    return f"{{% for message in messages %}}{turn}{{% endfor %}}{next_one}"


def ollama(template: Template, end: str) -> str:
    """The template for Ollama's Modelfile."""
    if template == "text":
        return "{{ .Prompt }}"
    if template == "chat":
        return f"{{{{ range .Messages }}}}{{{{ .Content }}}}{end}{{{{ end }}}}"
    person, model = TAGS[template]
    tag = f'{{{{ if eq .Role "assistant" }}}}{model}{{{{ else }}}}{person}{{{{ end }}}}'
    return f"{{{{ range .Messages }}}}{tag}{{{{ .Content }}}}\n{{{{ end }}}}{model.rstrip()}"
