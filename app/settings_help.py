"""What `python -m app --help` prints: what it does, and every setting with its meaning and its default."""

from __future__ import annotations

import shutil
import textwrap

import msgspec

from app.settings import Settings, meanings

USAGE = "Usage: [NAME=value ...] python -m app"
PURPOSE = (
    "Serves a bundle over HTTP: the page, the API and, if it has a token, the Telegram bot. `gpt2 serve` does the same and takes"
    " options. Every setting is an environment variable:"
)
INDENT = 22


def settings_help() -> str:
    width = min(shutil.get_terminal_size().columns, 120)
    defaults = {field.name.upper(): field.default for field in msgspec.structs.fields(Settings)}
    entries = (entry(name, f"{meaning}{shown(defaults[name])}", width) for name, meaning in meanings().items())
    return "\n".join([USAGE, "", textwrap.fill(PURPOSE, width), "", *entries])


def shown(default: object) -> str:
    return "" if default == "" else f" [{default}]"


def entry(name: str, meaning: str, width: int) -> str:
    begin, after = f"{name:<{INDENT}}", " " * INDENT
    return textwrap.fill(meaning, width, initial_indent=begin, subsequent_indent=after, break_on_hyphens=False)
