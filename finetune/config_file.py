"""Options in a YAML file: `--config FILE` reads them, `--print-config` writes those of a command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from inspect import BoundArguments
from pathlib import Path
from typing import Any

import msgspec
from cyclopts import App, config

from app.engine.json_text import read_bounded
from app.errors import SettingError
from finetune.command_line import flat_options


def take_config(line: App, arguments: Sequence[str]) -> tuple[list[str], bool]:
    """Let the verb take options from --config too. Returns the other arguments, and whether --print-config is there.

    Raises SettingError if the file is no YAML file of options.
    """
    taker = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    taker.add_argument("--config", type=Path)
    taker.add_argument("--print-config", "--print_config", action="store_true")
    try:
        given, rest = taker.parse_known_args(arguments)
    except argparse.ArgumentError:
        raise SettingError("--config needs a value: a YAML file with options.") from None
    if given.config is not None and rest:
        line.config = (config.Dict({rest[0]: read_options(given.config)}, source=str(given.config)), *line.config)
    return rest, given.print_config


LARGEST = 2**20
"""Bytes of a file of options."""


def read_options(path: Path) -> dict[str, Any]:
    import yaml

    try:
        options = yaml.safe_load(read_bounded(path, LARGEST).decode())
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        why = " ".join(str(error).split())
        raise SettingError(f"--config is {path}, which is not YAML in UTF-8 ({why}).") from None
    if not isinstance(options, dict) or not all(isinstance(name, str) for name in options):
        raise SettingError(f"--config is {path}, and should have a line for each option, such as `steps: 500`.")
    return options


def as_yaml(given: BoundArguments) -> str:
    """A verb's options as `--config` reads them, defaults included."""
    import yaml

    text: str = yaml.safe_dump(
        msgspec.to_builtins(flat_options(given), enc_hook=str), sort_keys=False, allow_unicode=True
    )
    return text
