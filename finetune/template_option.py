r"""The option --template: a template's name, or a pattern such as '[USER] %\n[BOT] %'."""

from __future__ import annotations

from app.engine.templates import Template, layout_of
from app.errors import SettingError


def read_template(option: str, given: str) -> Template:
    r"""The template that an option names. Between quotes of a shell, \n is a line end. Raises SettingError."""
    template = given.replace("\\n", "\n")
    try:
        layout_of(template)
    except ValueError as error:
        raise SettingError(f"--{option}: {error}.") from None
    return template
