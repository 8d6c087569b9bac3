"""A blind comparison: models and texts by people are chosen at random, look the same, and are voted on.

Texts by people are in a `.jsonl` as `finetune prepare` reads it, with `{"turns": [question, answer]}` or `{"body": text}` on
each line, or in a `.txt` with one text on each line.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import msgspec

from app.blind.jokes import Joke
from app.errors import SettingError

# Telegram allows 4096 UTF-16 code units in a message, and the bot adds its thanks for a vote.
LONGEST = 4000
EXPECTED = '{"turns": [question, answer]} or {"body": text}'


class JokeDocument(msgspec.Struct):
    """One line of a `.jsonl`."""

    turns: list[str] = []
    body: str = ""

    @property
    def joke(self) -> Joke:
        question, *answer = [turn.strip() for turn in self.turns] or ["", self.body.strip()]
        return Joke(question, "\n".join(answer)) if answer else Joke("", question)


class Contender(msgspec.Struct, frozen=True):
    """A model, or a file of people's jokes. `name` is the model's or the file's; a model has no `jokes` here."""

    name: str
    jokes: Sequence[Joke] = ()


class BlindComparison:
    """The contenders, of which one is chosen at random each time. It is false if nothing is compared."""

    def __init__(self, contenders: Sequence[Contender]) -> None:
        self._contenders = contenders
        self._models = [contender for contender in contenders if not contender.jokes]

    def __bool__(self) -> bool:
        return bool(self._contenders)

    @property
    def models(self) -> list[str]:
        return [contender.name for contender in self._models]

    @property
    def people(self) -> list[Contender]:
        """The files of people's jokes."""
        return [contender for contender in self._contenders if contender.jokes]

    def pick(self) -> Contender:
        """Who tells the next joke."""
        return random.choice(self._contenders)

    def pick_model(self) -> str | None:
        """Which model answers a question, since people's texts cannot. None if no model is compared."""
        return random.choice(self._models).name if self._models else None


def read_comparison(compare: str, models: Sequence[str]) -> BlindComparison:
    """What COMPARE names: some of these models, and files. Raises SettingError."""
    names = [name.strip() for name in compare.split(",") if name.strip()]
    contenders = [Contender(name) if name in models else read_people(Path(name), models) for name in names]
    if len({contender.name for contender in contenders}) < len(names):
        raise SettingError(f"COMPARE is {compare!r}, which names something twice: name each once.")
    if len(contenders) == 1:
        raise SettingError(f"COMPARE is {compare!r}, and should name two or more.")
    return BlindComparison(contenders)


def read_people(path: Path, models: Sequence[str]) -> Contender:
    """The jokes in a file. `models` are the served models, for the error message. Raises SettingError."""
    if path.suffix not in (".jsonl", ".txt"):
        served = ", ".join(models)
        raise SettingError(
            f"COMPARE names {str(path)!r}, which is neither a model served here ({served}) nor a .jsonl or .txt file."
        )
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingError(f"COMPARE names {path}, which cannot be read ({reason}).") from None
    jokes = [read_joke(line, path, number) for number, line in enumerate(lines, 1) if line.strip()]
    if not jokes:
        raise SettingError(f"COMPARE names {path}, which holds no text.")
    return Contender(path.name, jokes)


def read_joke(line: str, path: Path, number: int) -> Joke:
    """The joke on line `number` of a file. Raises SettingError."""
    try:
        joke = msgspec.json.decode(line, type=JokeDocument).joke if path.suffix == ".jsonl" else Joke("", line.strip())
    except msgspec.DecodeError as error:
        raise SettingError(f"line {number} of {path} should be {EXPECTED}: {error}.") from None
    if not joke.answer:
        raise SettingError(f"line {number} of {path} holds no text: it should be {EXPECTED}.")
    if len(joke.shown.encode("utf-16-le")) // 2 > LONGEST:
        raise SettingError(
            f"line {number} of {path} is too long for a message: shorten it to {LONGEST} UTF-16 units, as Telegram counts."
        )
    return joke
