"""GoogleSQL's functions with regular expressions (RE2). The pattern is constant, so that its groups are known."""

from __future__ import annotations

import re
import warnings
from importlib import import_module

from finetune.fetch.googlesql.signatures import declared
from finetune.fetch.googlesql.sql_types import string_literal
from finetune.fetch.googlesql.typed import Call, Typed

# What opens a group that captures: not \(, not within [ ] or \Q \E, and not (?: … or (?i).
TOKENS = re.compile(
    r"\\Q.*?(?:\\E|$)|\\.|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]|(\((?!\?)|\(\?P?<(?![=!]))|.", re.DOTALL
)
UNICODE_CLASS = re.compile(r"\\[pP](?:\{\^?\w+\}|\w)")


def groups_of(pattern: str) -> int:
    """How many groups of a pattern capture."""
    return sum(1 for token in TOKENS.finditer(pattern) if token[1])


def may_match_nothing(pattern: str) -> bool:
    """Whether a pattern can match an empty text, as far as can be told: `a*` can, `a+` cannot."""
    # By its name: whether mypy knows it depends on what other packages import.
    parser = import_module("re._parser")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            least: int = parser.parse(UNICODE_CLASS.sub(r"\\w", pattern)).getwidth()[0]
    except re.error:
        return True
    return least == 0


def constant_pattern(call: Call, at: int = 1) -> str:
    pattern = call.arguments[at]
    if not pattern.is_constant:
        raise call.refuse("with a regular expression that is not a text in quotes or a parameter")
    if "\0" in pattern.value:
        raise call.refuse("with a regular expression that contains a NUL character")
    return str(pattern.value)


def contains(call: Call) -> str:
    constant_pattern(call)
    text, pattern = call.arguments
    return f"regexp_matches({text.sql}, {pattern.sql})"


def one_group(call: Call) -> int:
    """The group to extract: the only one of the pattern, or 0 for all of the match."""
    groups = groups_of(constant_pattern(call))
    if groups > 1:
        raise call.refuse("with a regular expression of more than one capturing group")
    return groups


def extract(call: Call) -> str:
    group = one_group(call)
    text, pattern = (argument.sql for argument in call.arguments)
    if group:  # A group that takes no part in the match is NULL; regexp_extract would give an empty text.
        return f"regexp_extract_all({text}, {pattern}, 1)[1]"
    return f"CASE WHEN regexp_matches({text}, {pattern}) THEN regexp_extract({text}, {pattern}) END"


def extract_all(call: Call) -> str:
    group = one_group(call)
    if may_match_nothing(constant_pattern(call)):
        raise call.refuse("with a regular expression that can match an empty text")
    text, pattern = (argument.sql for argument in call.arguments)
    return f"regexp_extract_all({text}, {pattern}, {group})"


def replace(call: Call) -> str:
    groups = groups_of(constant_pattern(call))
    text, pattern, replacement = call.arguments
    if not replacement.is_constant:
        raise call.refuse("with a replacement that is not a text in quotes or a parameter")
    for escape in re.findall(r"\\(.?)", str(replacement.value), re.DOTALL):
        if escape != "\\" and not (escape in tuple("0123456789") and int(escape) <= groups):
            raise call.refuse(f"with the replacement \\{escape}, which is no group of the pattern,")
    return f"regexp_replace({text.sql}, {pattern.sql}, {replacement.sql}, 'g')"


def like(text: Typed, pattern: Typed) -> str:
    """LIKE, where a backslash takes the meaning from the character behind it."""
    escape = "" if pattern.is_constant and "\\" not in str(pattern.value) else rf" ESCAPE {string_literal(chr(92))}"
    return f"({text.sql} LIKE {pattern.sql}{escape})"


REGULAR_EXPRESSIONS = declared(
    ("REGEXP_CONTAINS(STRING, STRING) BOOL", contains),
    ("REGEXP_EXTRACT|REGEXP_SUBSTR(STRING, STRING) STRING", extract),
    ("REGEXP_EXTRACT_ALL(STRING, STRING) ARRAY<STRING>", extract_all),
    ("REGEXP_REPLACE(STRING, STRING, STRING) STRING", replace),
)
