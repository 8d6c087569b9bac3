"""Chooses the default bundle: writes models/DEFAULT, and lets the ignore files beside models/ send what it names."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.engine.default_bundle import DEFAULT, MODELS, default_bundle, is_name
from app.errors import BundleError, SettingError
from finetune.build_context import send_default
from finetune.checkpoint import replace_text


def can_be_default(bundle: Path) -> bool:
    """Whether a bundle is in a folder called models, beside which the app and the container are started and built."""
    return bundle.absolute().parent.name == MODELS.name


def refuse_name(bundle: Path) -> None:
    """Raises SettingError for a bundle in models/ whose name models/DEFAULT cannot hold."""
    if can_be_default(bundle) and not is_name(bundle.absolute().name):
        raise SettingError(
            f"{str(bundle)!r} has a name that {MODELS / DEFAULT} cannot hold: choose another, of one plain line."
        )


def choose_default(bundle: Path) -> None:
    """Make a bundle in models/ the one that is served and deployed."""
    refuse_name(bundle)
    models = bundle.absolute().parent
    with one_at_a_time(models):
        replace_text(models / DEFAULT, f"{bundle.absolute().name}\n")
        send_default(models.parent)


def choose_new(bundle: Path) -> list[str]:
    """Make a bundle the default that was just written, if it can be. Returns the line that says so."""
    if not can_be_default(bundle):
        return []
    choose_default(bundle)
    return [f"{bundle} is the default now: it is what is served and deployed"]


def forget_default(models: Path = MODELS) -> None:
    """Serve and deploy what a new clone would: models/starter, or checkpoint/run1 in a container."""
    with one_at_a_time(models):
        (models / DEFAULT).unlink(missing_ok=True)
        send_default(models.absolute().parent)


@contextmanager
def one_at_a_time(models: Path) -> Iterator[None]:
    """Else two exports could leave models/DEFAULT with the name of one, and ignore files that send the other."""
    folder = os.open(models, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def is_default(bundle: Path) -> bool:
    """Whether a bundle is what is served and deployed. Where models/DEFAULT names none, nothing is."""
    return can_be_default(bundle) and default_or_none(bundle.absolute().parent) == bundle.absolute()


def default_or_none(models: Path = MODELS) -> Path | None:
    try:
        return default_bundle(models)
    except BundleError:
        return None
