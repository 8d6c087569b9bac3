"""How an option is written, and whether its value is in the range that its type declares."""

from __future__ import annotations

from typing import Annotated, Any, get_type_hints

import msgspec
from msgspec.inspect import FloatType, IntType, UnionType, type_info

from app.errors import SettingError

Count = Annotated[int, msgspec.Meta(ge=1)]
CountOrZero = Annotated[int, msgspec.Meta(ge=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
LARGEST_FLOAT = 3.4e38
"""Of 32 bits, as models compute with."""


def option(name: str) -> str:
    """An option as people write it, `--batch-size` for batch_size."""
    return "--" + name.replace("_", "-")


def check_ranges(options: object) -> None:
    """Raises SettingError naming the first number among the fields of `options` that is out of its type's range."""
    for name, kind in get_type_hints(type(options), include_extras=True).items():
        if number_in(kind):
            check_range(name, getattr(options, name), kind)


def check_range(name: str, value: Any, kind: Any) -> None:
    """Raises SettingError where the value of the option is too large a number, NaN or outside the range of `kind`.

    `kind` is a number annotated with msgspec.Meta, or a union with one.
    """
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        raise SettingError(f"{option(name)} is {value} and should be {range_in_words(kind)}.") from None
    if isinstance(value, float) and not abs(value) <= LARGEST_FLOAT:
        raise SettingError(f"{option(name)} is {value} and should be a finite number of 32 bits.")
    if isinstance(value, int) and value >= 2**63:
        raise SettingError(f"{option(name)} is {value} and should be below {2**63}.")


def number_in(kind: Any) -> IntType | FloatType | None:
    declared = type_info(kind)
    kinds = declared.types if isinstance(declared, UnionType) else (declared,)
    return next((each for each in kinds if isinstance(each, IntType | FloatType)), None)


def range_in_words(kind: Any) -> str:
    number = number_in(kind)
    assert number is not None
    bounds = {"at least": number.ge, "above": number.gt, "at most": number.le, "below": number.lt}
    known = {
        words: int(bound) if bound == int(bound) else bound for words, bound in bounds.items() if bound is not None
    }
    return " and ".join(f"{words} {bound}" for words, bound in known.items()) or "a number"
