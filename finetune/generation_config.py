"""A model's sampling defaults in generation_config.json, as transformers has them.

`import` puts that file beside the checkpoint, and `export` reads it there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from app.engine.json_text import decode_json
from app.engine.profile import NO_DEFAULTS, SamplingDefaults
from app.engine.vocabulary_files import read_text
from app.errors import CheckpointError
from finetune.readable_json import readable_json

GENERATION_CONFIG = "generation_config.json"
NAMES = {"length": "max_new_tokens"}
SAME = ("temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty")
NEUTRAL = {"top_k": 0, "top_p": 1.0}
"""What transformers' own defaults have to be overridden with, since it keeps the 50 likeliest tokens unless told otherwise."""


def generation_config(defaults: SamplingDefaults) -> dict[str, Any]:
    """The fields of generation_config.json; none where the model has no defaults. transformers has no OpenAI penalties."""
    given = {name: value for name, value in msgspec.structs.asdict(defaults).items() if value is not None}
    if not given:
        return {}
    config = {"do_sample": True} | NEUTRAL | {name: given[name] for name in SAME if name in given}
    if "length" in given:
        config[NAMES["length"]] = given["length"]
    if config.get("temperature") == 0:
        config = {name: value for name, value in config.items() if name in (NAMES["length"], "repetition_penalty")}
        config["do_sample"] = False
    elif config["top_p"] == 0:
        config["top_p"] = 1.0
    return config


def write_sampling_defaults(defaults: SamplingDefaults, folder: Path) -> None:
    """Put the file into a folder, if there is anything to say."""
    if config := generation_config(defaults):
        (folder / GENERATION_CONFIG).write_bytes(readable_json(config))


def read_sampling_defaults(folder: Path) -> SamplingDefaults:
    """The defaults beside a checkpoint or in a Hugging Face folder. Raises CheckpointError.

    Without do_sample, transformers takes the likeliest token at each step; a file that does not mention sampling says nothing.
    """
    path = folder / GENERATION_CONFIG
    if not path.is_file():
        return NO_DEFAULTS
    try:
        given = decode_json(read_text(path), dict[str, Any])
    except msgspec.DecodeError as error:
        raise CheckpointError(f"{path} has no sampling defaults ({error})", "correct it, or delete it") from None
    found = {name: given[name] for name in SAME if given.get(name) is not None}
    if given.get(NAMES["length"]) is not None:
        found["length"] = given[NAMES["length"]]
    if given.get("do_sample") is False:
        found = {"temperature": 0} | {name: found[name] for name in ("repetition_penalty", "length") if name in found}
    try:
        return msgspec.convert(found, SamplingDefaults) if found else NO_DEFAULTS
    except msgspec.ValidationError as error:
        problem = f"{path} has a value that no model can use ({error})"
        raise CheckpointError(problem, "correct it, or delete it") from None
