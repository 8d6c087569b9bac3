"""The guardrails of fetch: the named filters that keep unwanted text out of a corpus.

To add one, add an entry to GUARDRAILS. All are on unless --without names them. cleaning.py runs them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from app.engine.tokenizer import Tokenizer
from app.errors import DataError, SettingError
from finetune.data.vocabulary import read_vocabulary

STOP_WORDS = (
    "a an and are as at be been but by can did do does for from had has have he her his how i if in is it its just me my no "
    "not of on or our out she so some than that the their them then there they this to too up us was we were what when "
    "which who why will with would you your"
)


class Guardrail(NamedTuple):
    """A filter: it drops each text that meets `condition`, and counts it under `name`. `meaning` says what it drops.

    The condition is SQL for DuckDB. It sees the columns `text`, `untagged` (the text without tags such as [QUESTION]), `author`
    and `score` (the last two may be NULL), the variables $min_tokens, $max_tokens, $min_score and $blocklist, and the function
    tokens(text), which counts GPT-2's tokens. Without a condition, cleaning.py has code of its own for the guardrail.
    """

    name: str
    meaning: str
    condition: str | None = None


# A text counts for the first guardrail that drops it. Personal data has been replaced by then. Regular expressions cost
# much more than contains(), so a condition tries contains() first where it can.
GUARDRAILS = (
    Guardrail(
        "deleted",
        "deleted and removed texts",
        "text IN ('', '[deleted]', '[removed]', '[ Removed by Reddit ]')",
    ),
    Guardrail(
        "bot",
        "texts by bots, known by their name or their own words",
        r"""regexp_matches(author, '^(?i:automoderator)$|(?:^|[-_])(?i:bot)\d*$|[a-z]Bot\d*$')
        OR CASE WHEN contains(lower(text), 'bot') OR contains(lower(text), 'automatically')
        THEN regexp_matches(text, '(?i)\bI(?: a|'')m a bot\b|performed automatically') ELSE FALSE END""",
    ),
    Guardrail("score", "texts with a score below --min-score", "score < $min_score"),
    Guardrail("link", "texts with a link", "contains(text, '://') OR contains(text, 'www.') OR contains(text, '](')"),
    Guardrail(
        "quote",
        "texts that quote another comment",
        r"""CASE WHEN contains(text, '>') OR contains(text, '&gt;')
        THEN regexp_matches(text, '(?m)^\s*(?:>|&gt;)') ELSE FALSE END""",
    ),
    Guardrail(
        "shouting",
        "texts with five capital letters in a row, tags such as [ANSWER] aside",
        "regexp_matches(untagged, '[A-Z]{5}')",
    ),
    Guardrail("word", "texts with a word of more than thirty characters", r"regexp_matches(untagged, '\S{31}')"),
    Guardrail(
        "stop_word",
        "texts without a common English word: other languages, code, lists",
        rf"NOT regexp_matches(untagged, '(?i)\b(?:{STOP_WORDS.replace(' ', '|')})\b')",
    ),
    Guardrail(
        "repetition",
        "texts with the same word three times in a row",
        """list_reduce(list_transform(string_split(lower(text), ' '), lambda word: {'word': word, 'times': 1}),
        lambda one, next: {'word': next.word, 'times': CASE WHEN one.times = 3 THEN 3
        WHEN one.word = next.word THEN one.times + 1 ELSE 1 END}).times = 3""",
    ),
    Guardrail("blocklist", "texts with a word or phrase of --blocklist", "regexp_matches(text, $blocklist)"),
    # Counting tokens is slow. A word has at least one token and a token at least one byte, so most texts need no count.
    Guardrail(
        "short",
        "texts with fewer tokens than --min-tokens",
        "CASE WHEN len(string_split(untagged, ' ')) < $min_tokens THEN tokens(untagged) < $min_tokens ELSE FALSE END",
    ),
    Guardrail(
        "long",
        "texts with more tokens than --max-tokens",
        "CASE WHEN strlen(text) > $max_tokens THEN tokens(text) > $max_tokens ELSE FALSE END",
    ),
    Guardrail("copy", "texts seen before, ignoring case and punctuation (`prepare` finds near duplicates)"),
    Guardrail(
        "personal",
        "nothing; e-mail addresses, telephone numbers and user names become [email], [phone] and [user]",
    ),
)
NAMES = tuple(guardrail.name for guardrail in GUARDRAILS)

# One to three words in capital letters and brackets: [QUESTION], [VERDICT: NTA], [/INST]. They structure a text, and say nothing.
UNTAGGED = r"""CASE WHEN contains(text, '[') THEN trim(regexp_replace(
    text, '\s*\[/?[A-Z][A-Z0-9_:/.-]*(?: [A-Z0-9_:/.-]+){0,2}\]\s*', ' ', 'g')) ELSE text END"""

# The steps of the guardrail "personal": what becomes of `text`, one step after the other.
REPLACEMENTS = {
    "without_emails": r"""CASE WHEN contains(text, '@')
        THEN regexp_replace(text, '[\w.+-]+@[\w-]+\.[\w.-]*\w', '[email]', 'g') ELSE text END""",
    "without_phone_numbers": r"""regexp_replace(
        text, '(?:\+\d|\(\d|\b\d)(?:[ ().-]{0,3}\d){9,14}\b|\b\d{3}[-.]\d{4}\b', '[phone]', 'g')""",
    "without_user_names": r"""CASE WHEN contains(text, '@') OR contains(lower(text), 'u/')
        THEN regexp_replace(text, '(^|[^\w/])/?[uU]/[\w-]{3,20}|(^|[^\w])@\w{2,30}', '\1\2[user]', 'g') ELSE text END""",
}


@dataclass(frozen=True)
class GuardrailOptions:
    """Which guardrails are on, and their limits. `vocabulary` is the folder of the model whose tokens are counted."""

    without: Sequence[str] = ()
    min_tokens: int = 2
    max_tokens: int = 1024
    min_score: int = 1
    blocklist: Path | None = None
    vocabulary: Path = Path("models/124M")

    @property
    def active(self) -> list[Guardrail]:
        """The guardrails that are on. The blocklist is off without a file."""
        off = {*self.without} | (set() if self.blocklist else {"blocklist"})
        return [guardrail for guardrail in GUARDRAILS if guardrail.name not in off]

    @property
    def names(self) -> list[str]:
        """The names of the guardrails that are on."""
        return [guardrail.name for guardrail in self.active]

    @property
    def counts_tokens(self) -> bool:
        return bool({"short", "long"} & {*self.names})

    def check(self, columns: Collection[str]) -> None:
        """Find wrong options before anything is fetched or billed. Raises SettingError or DataError.

        `columns` are those that the rows will have, as far as they are known; "*" is any.
        """
        for name in self.without:
            if name not in NAMES:
                raise SettingError(f"--without is {name!r}, and should be some of {','.join(NAMES)}.")
        if not 1 <= self.min_tokens <= self.max_tokens:
            raise SettingError(
                f"--min-tokens is {self.min_tokens} and --max-tokens {self.max_tokens}: both should be 1 or more, and "
                "--min-tokens no larger than --max-tokens."
            )
        if self.blocklist is not None and "blocklist" in self.without:
            raise SettingError("--blocklist names a file and --without turns that guardrail off: give one of the two.")
        if self.blocklist is not None:
            blocklist_pattern(self.blocklist)
        if self.counts_tokens and {"body", "turns", "*"} & set(columns):
            read_tokenizer(self.vocabulary)


def blocklist_pattern(path: Path) -> str:
    """A file of words and phrases, one a line, as one regular expression that matches whole words in any case.

    Raises DataError.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{path} is not utf-8: convert it.") from None
    phrases = [re.escape(line.strip()) for line in lines if line.strip()]
    if not phrases:
        raise DataError(f"{path} is empty: a blocklist has a word or phrase on each line.")
    return rf"(?i)(?:^|\W)(?:{'|'.join(phrases)})(?:\W|$)"


@cache
def read_tokenizer(vocabulary: Path) -> Tokenizer:
    """The tokenizer of a model's folder, read once. Raises DataError if the folder has no vocabulary."""
    return read_vocabulary(vocabulary, "--without short,long counts no tokens")
