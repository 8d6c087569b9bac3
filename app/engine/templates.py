r"""Prompt templates, by name or as a pattern such as `[USER] %\n[BOT] %`: what stands before each turn and between turns.

    text    turn, newline, turn; the model continues the last one
    qa      [QUESTION] turn, newline, [ANSWER] turn, newline, and so on: the pattern [QUESTION] %\n[ANSWER] %
    chat    turn, end-of-text token, turn, end-of-text token

In a pattern, the first % is a person's turn and the second one the model's.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

Template = str
"""text, qa, chat or a pattern."""
PATTERN = re.compile(r"(?P<person>\S[^%]*)%(?P<between>\s+)(?P<model>\S[^%]*)%")
STARTER_TAGS = ("[USER]", "[BOT]", "[VERDICT]")
"""The tags of models/starter's other texts, into which an answer with the template qa may run."""


class TurnLayout(NamedTuple):
    """What a template writes: `person` and `model` before their turns, `between` before each turn but the first.

    `ends_turns`: the end-of-text token follows each turn.
    """

    person: str = ""
    model: str = ""
    between: str = "\n"
    ends_turns: bool = False

    @property
    def tags(self) -> tuple[str, str]:
        """The tags of a person and of the model, without white space around them."""
        return self.person.strip(), self.model.strip()

    @property
    def cue(self) -> str:
        """What asks the model for its turn. The space after the tag is left out: it belongs to the answer's first word."""
        return self.between + self.model.rstrip(" ") if self.model else ""

    @property
    def has_turns(self) -> bool:
        """Whether the model can tell whose turn it is. If not, it continues a text."""
        return bool(self.model) or self.ends_turns


NAMED = {
    "text": TurnLayout(),
    "qa": TurnLayout("[QUESTION] ", "[ANSWER] "),
    "chat": TurnLayout(between="", ends_turns=True),
}


@cache
def layout_of(template: Template) -> TurnLayout:
    """What a template writes. Raises ValueError with a sentence where it is neither a name nor a pattern."""
    if template in NAMED:
        return NAMED[template]
    found = PATTERN.fullmatch(template)
    if not found:
        raise ValueError(
            f"the template {template!r} is none of {', '.join(NAMED)} and no pattern with a tag before each of two %, "
            r"such as '[USER] %\n[BOT] %'"
        )
    return TurnLayout(found["person"], found["model"], found["between"])


def is_template(text: str) -> bool:
    try:
        layout_of(text)
    except ValueError:
        return False
    return True


def stop_tags(*templates: Template) -> list[str]:
    """The tags of a model's templates, which end its turn. One with a line end in front does so where a line begins only."""
    layouts = [layout_of(template) for template in dict.fromkeys(templates)]
    tags = [placed(tag, layout) for layout in layouts for tag in layout.tags if tag]
    return list(dict.fromkeys([*tags, *(STARTER_TAGS if NAMED["qa"] in layouts else ())]))


def placed(tag: str, layout: TurnLayout) -> str:
    """The tag as it is where nothing else can look like it, such as [BOT]. `A:` may stand in a sentence, so a line must begin."""
    unmistakable = re.fullmatch(r"\W+\w.*\W", tag, re.DOTALL) or "\n" not in layout.between
    return tag if unmistakable else f"\n{tag}"
