r"""The option --template: a template's name, or a pattern such as '[USER] %\n[BOT] %'."""

from __future__ import annotations

from app.engine.templates import NAMED, Template, is_template
from app.errors import SettingError


def read_template(option: str, given: str) -> Template:
    r"""The template that an option names. Between quotes of a shell, \n is a line end. Raises SettingError."""
    template = given.replace("\\n", "\n")
    if not is_template(template):
        raise SettingError(
            f"--{option} is {given!r}: give {', '.join(NAMED)}, or a tag before each of two %, such as '[USER] %\\n[BOT] %'."
        )
    return template
