"""Personal data in messages: names, user names, telephone numbers, addresses and links, replaced by what stands for them.

    Anna, call me at +49 170 1234567      becomes      [name1], call me at [phone]

Each person of the chats keeps a number. Only their names are known: those of other people stay.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence

LINK = re.compile(
    r"""(?:https?://|www\.)[^\s<>"]*[^\s<>"'.,;:!?)\]}…]|(?<![\w.-])(?:[\w-]{1,63}\.){1,6}[a-z]{2,24}/[^\s<>"]*[\w/]""",
    re.IGNORECASE,
)
EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]{0,200}\w")
PHONE = re.compile(r"(?<![@\w])(?:\+\d|\(\d|\d)(?:[ ().\-/\u00a0]{0,3}\d){8,14}\b|\b\d{3}[-.]\d{4}\b")
USER = re.compile(r"(?<![\w/])@\w{2,30}\b")
ANY_WORD, WORDS_OF_NAME = r"[^\W\d_][\w-]*", re.compile(r"[^\W\d_][\w-]*")
MOST_ALTERNATIVES = 100
"""Words of names that one pattern looks for. Of more, each word of a text is looked up."""
REPEATED = re.compile(r"(\[name\d+\])(?:[ -]\1)+")
IDEOGRAPHS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{2,}")
# Names that are words too are replaced where they are written as names, within a sentence.
WORDS_TOO = {
    "al", "amber", "angel", "april", "art", "august", "autumn", "bill", "bob", "buddy", "chance", "chase", "chip", "christian",
    "clay", "dad", "dawn", "dean", "drew", "earl", "faith", "flora", "frank", "gay", "gene", "ginger", "grace", "grant", "group",
    "guy", "happy", "harmony", "heather", "holly", "home", "hope", "hunter", "iris", "ivy", "jack", "jay", "joy", "june", "king",
    "lee", "lily", "long", "love", "major", "mama", "mark", "mason", "max", "may", "mike", "miles", "mom", "mum", "noble",
    "olive", "page", "papa", "pat", "pearl", "penny", "pierce", "prince", "ray", "reed", "rich", "rob", "robin", "rose", "ruby",
    "rusty", "sandy", "sky", "sonny", "stone", "story", "sue", "summer", "the", "tony", "van", "violet", "wade", "ward",
    "white", "will", "winter", "work", "young", "black", "brown", "green", "gray", "little", "best", "and", "und", "de", "von",
}  # fmt: skip


class PersonalData:
    """Replaces it in texts, and counts what it replaced. `people` are the names of those who write, the busiest first."""

    def __init__(self, people: Sequence[str] = (), counts: Counter[str] | None = None) -> None:
        self.counts: Counter[str] = Counter() if counts is None else counts
        words, ideographs = dict[str, str](), dict[str, str]()
        for number, name in enumerate(people, start=1):
            for word in WORDS_OF_NAME.findall(name):
                words.setdefault(word.casefold(), f"[name{number}]")
            for word in IDEOGRAPHS.findall(name):
                ideographs.setdefault(word, f"[name{number}]")
        self._placeholders = words | ideographs
        self._word = re.compile(
            rf"(?<![\w\[])@?(?:{alternatives(words) if len(words) <= MOST_ALTERNATIVES else ANY_WORD})\b", re.IGNORECASE
        )
        self._ideographs = re.compile(alternatives(ideographs))

    def of(self, people: Sequence[str]) -> PersonalData:
        """The same for other people, with the same counts."""
        return PersonalData(people, self.counts)

    def replaced(self, text: str) -> str:
        # A pattern is only tried where a text has what it needs, since most have nothing.
        has_user = "@" in text
        for kind, pattern, may_match in (
            ("link", LINK, "/" in text or "www." in text.lower()),
            ("email", EMAIL, has_user),
            ("phone", PHONE, not text.isalpha()),
        ):
            if may_match:
                text = self._without(kind, pattern, text)
        text = REPEATED.sub(r"\1", self._word.sub(self._placeholder, self._ideographs.sub(self._placeholder, text)))
        return self._without("user", USER, text) if has_user else text

    def _without(self, kind: str, pattern: re.Pattern[str], text: str) -> str:
        text, count = pattern.subn(f"[{kind}]", text)
        if count:
            self.counts[kind] += count
        return text

    def _placeholder(self, match: re.Match[str]) -> str:
        found = match[0]
        word = found.removeprefix("@")
        placeholder = self._placeholders.get(word) or self._placeholders.get(word.casefold())
        if placeholder is None or (found == word and not is_name(match, word)):
            return found
        self.counts["name"] += 1
        return placeholder


def alternatives(words: Collection[str]) -> str:
    """A pattern of any of the words, the longest first; without any, one that never matches."""
    return "|".join(map(re.escape, sorted(words, key=len, reverse=True))) or "(?!)"


def is_name(match: re.Match[str], word: str) -> bool:
    """Whether a word that is somebody's name is meant as one here: short ones, and those that are words too, may not be."""
    if len(word) > 2 and word.casefold() not in WORDS_TOO:
        return True
    before = match.string[: match.start()].rstrip(" ")
    return word[0].isupper() and bool(before) and before[-1] not in ".!?\n:"
