"""`serve`: serve a bundle on this machine: the page, the API and, if it has a token, the Telegram bot.

    gpt2 serve
    gpt2 serve jokes --port 8081

It becomes `python -m app`, which is what the container runs. Each setting of app/settings.py is an option here, which wins over
the environment variable.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Container, Mapping
from dataclasses import asdict, field, make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import msgspec
from cyclopts import Group, Parameter

import app
from app.errors import SettingError
from app.settings import Settings, meanings, read_settings
from finetune import terminal
from finetune.command_line import shown_default
from finetune.inventory import find_bundle, find_model

FAST_MEMORY = "glibc.malloc.hugetlb=1"
"""Memory in pages of 2 MB, where the kernel offers them: it makes generation a fifth faster."""
OPTIONS, TELEGRAM = Group("Options"), Group("Telegram")
ALIASES = {"listen": "--host"}


def option(setting: msgspec.structs.FieldInfo) -> tuple[str, Any, Any]:
    """A setting as an option: text, which app/settings.py then reads as it reads the variable."""
    parameter = Parameter(
        help=meanings()[setting.name.upper()],
        alias=ALIASES.get(setting.name),
        group=TELEGRAM if setting.name.startswith("telegram") else OPTIONS,
        show_default=lambda _: shown_default(setting.default),
    )
    return setting.name, Annotated[str | None, parameter], field(default=None)


if TYPE_CHECKING:
    ServeOptions = Any
else:
    ServeOptions = make_dataclass(
        "ServeOptions",
        [option(setting) for setting in msgspec.structs.fields(Settings) if setting.name != "model"],
        namespace={"__module__": __name__},  # Else it would count as a class of Python's own, which has no options.
        frozen=True,
        kw_only=True,
    )


NOTHING_GIVEN = ServeOptions()
# The app's sources last, since a folder of the user may be called app as well.
SOURCES = str(Path(app.__file__).parent.parent)
PROGRAM = f"import sys; sys.path.append({SOURCES!r}); from app.__main__ import main; sys.exit(main())"


def serve(
    model: str | None = None, /, *, options: Annotated[ServeOptions, Parameter(name="*")] = NOTHING_GIVEN
) -> NoReturn:
    """Serve a bundle until Ctrl-C.

    Args:
        model: a bundle, such as jokes or models/jokes; by default the one that was exported last
        options: the settings
    """
    given = {name.upper(): value for name, value in asdict(options).items() if value is not None}
    environ = os.environ | given
    settings = checked_settings(environ, given)
    if model is not None:
        environ["MODEL"] = str(folder_of(model, settings.engine))
    become_app(environ)


def checked_settings(environ: Mapping[str, str], given: Container[str]) -> Settings:
    """Raises SettingError, which names what was given as an option as an option."""
    try:
        return read_settings(environ)
    except SettingError as error:
        name, what, rest = str(error).partition(" is ")
        if name not in given:
            raise
        raise SettingError(f"--{name.lower().replace('_', '-')}{what}{rest}") from None


def folder_of(model: str, engine: str) -> Path:
    """The folder that a name means: a bundle, or for TensorFlow a checkpoint. Raises SettingError."""
    return find_model(model, "run", "checkpoint") if engine == "tensorflow" else find_bundle(model)


def become_app(environ: Mapping[str, str]) -> NoReturn:
    """Replace this process by the app, so that it takes no more memory and hears its own signals."""
    terminal.flush()
    command = [sys.executable, "-P", "-c", PROGRAM]
    os.execve(sys.executable, command, {"GLIBC_TUNABLES": FAST_MEMORY, **environ})  # noqa: S606  There is nothing for a shell to do.
