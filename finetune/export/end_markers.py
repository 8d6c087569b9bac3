"""What ends a text: the string or token that `--end` names, or that a run was trained with."""

from __future__ import annotations

from app.engine.bundle import EndMarker
from app.engine.checkpoint_folder import CheckpointFolder
from app.engine.tokenizer import END_OF_TEXT
from app.errors import SettingError
from finetune.run_folder import RunDescription


def find_end_marker(end: str | None, run: RunDescription | None, source: CheckpointFolder) -> EndMarker:
    """The end marker that `--end` names; without it, the run's own; without a description, gpt-2-simple's string.

    Raises SettingError where `end` is empty or not a token's id.
    """
    known = str(run.end) if run else END_OF_TEXT
    return parse_end_marker(known if end is None else end, source)


def parse_end_marker(end: str, source: CheckpointFolder) -> EndMarker:
    """Digits are a token's id, all else is a string. Raises SettingError where `end` is empty or not a token's id."""
    if not end:
        raise SettingError("--end is empty: give the string that ends a text, or the id of a token.")
    if not end.isdecimal():
        return EndMarker(text=end)
    if int(end) >= source.hparams.n_vocab:
        raise SettingError(
            f"--end is token {end} and the vocabulary has {source.hparams.n_vocab}: give an id below that."
        )
    return EndMarker(token=int(end))


def end_token(end: EndMarker, source: CheckpointFolder) -> int:
    """The token that ends a text, for programs that need one even where the model learned a string. Raises SettingError."""
    token = source.tokenizer.end_of_text if end.token is None else end.token
    if token is None:
        raise SettingError(
            f"--end names no token and {source.folder}/encoder.json has no {END_OF_TEXT}: "
            "give the id of the token that ends a text."
        )
    return token
