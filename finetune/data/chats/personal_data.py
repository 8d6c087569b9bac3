"""Personal data in messages: names, user names, telephone numbers, addresses and links, replaced by what stands for them.

    Anna, call me at +49 170 1234567      becomes      [name1], call me at [phone]

Each person of the chats keeps a number. Only their names are known: those of other people stay.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

# What a match is called becomes its placeholder; of a word it depends on whose name it is.
PERSONAL = re.compile(
    r"""(?P<link>(?:https?://|www\.)[^\s<>"]*[^\s<>"'.,;:!?)\]}…]|\b(?:[\w-]+\.)+[a-z]{2,}/[^\s<>"]*[\w/])
    |(?P<email>[\w.+-]+@[\w-]+\.[\w.-]*\w)
    |(?P<phone>(?:\+\d|\(\d|\b\d)(?:[ ().\-/\u00a0]{0,3}\d){8,14}\b|\b\d{3}[-.]\d{4}\b)
    |(?P<word>(?<![\w/])@?[^\W\d_][\w-]*)
    |(?P<user>(?<![\w/])@\w{2,30}\b)""",
    re.VERBOSE,
)
WORDS_OF_NAME = re.compile(r"[^\W\d_][\w-]*")
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
        self._placeholders: dict[str, str] = {}
        ideographs = dict[str, str]()
        for number, name in enumerate(people, start=1):
            for word in WORDS_OF_NAME.findall(name):
                self._placeholders.setdefault(word.casefold(), f"[name{number}]")
            for word in IDEOGRAPHS.findall(name):
                ideographs.setdefault(word, f"[name{number}]")
        self._ideographs = ideographs
        self._any_ideograph = re.compile("|".join(map(re.escape, sorted(ideographs, key=len, reverse=True))) or r"(?!)")

    def of(self, people: Sequence[str]) -> PersonalData:
        """The same for other people, with the same counts."""
        return PersonalData(people, self.counts)

    def replaced(self, text: str) -> str:
        if self._ideographs:
            text = self._any_ideograph.sub(self._ideograph, text)
        return REPEATED.sub(r"\1", PERSONAL.sub(self._placeholder, text))

    def _ideograph(self, match: re.Match[str]) -> str:
        self.counts["name"] += 1
        return self._ideographs[match[0]]

    def _placeholder(self, match: re.Match[str]) -> str:
        kind, found = match.lastgroup or "", match[0]
        if kind != "word":
            self.counts[kind] += 1
            return f"[{kind}]"
        word = found.removeprefix("@")
        placeholder = self._placeholders.get(word.casefold())
        if placeholder is None and found == word:
            return found
        if placeholder and found == word and not is_name(match, word):
            return found
        self.counts["name" if placeholder else "user"] += 1
        return placeholder or "[user]"


def is_name(match: re.Match[str], word: str) -> bool:
    """Whether a word that is somebody's name is meant as one here: short ones, and those that are words too, may not be."""
    if len(word) > 2 and word.casefold() not in WORDS_TOO:
        return True
    before = match.string[: match.start()].rstrip(" ")
    return word[0].isupper() and bool(before) and before[-1] not in ".!?\n:"
