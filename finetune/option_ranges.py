"""Checks command-line options against the ranges that their types declare."""

from __future__ import annotations

from typing import Annotated, Any, get_type_hints

import msgspec

from app.engine.sampling import Sampling
from app.errors import SettingError

Count = Annotated[int, msgspec.Meta(ge=1)]


def check_range(name: str, value: float, kind: Any) -> None:
    """Raises SettingError where the value of --name is outside the range of `kind`, a number annotated with msgspec.Meta."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        raise SettingError(f"--{name} is {value} and should be {range_in_words(kind)}.") from None


def check_sampling(sampling: Sampling) -> None:
    """Raises SettingError naming the first option that is out of range."""
    for name, kind in get_type_hints(Sampling, include_extras=True).items():
        check_range(name, getattr(sampling, name), kind)


def range_in_words(kind: Any) -> str:
    declared: Any = msgspec.inspect.type_info(kind)
    bounds = {"at least": declared.ge, "above": declared.gt, "at most": declared.le, "below": declared.lt}
    return " and ".join(f"{words} {bound}" for words, bound in bounds.items() if bound is not None)
