"""A model's profile: how it wants to be used and shown, which its bundle's manifest says. Every part may be left out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

import msgspec
from msgspec import Meta

from app.engine import sampling
from app.engine.accent import check_accent
from app.engine.sampling import Sampling
from app.engine.templates import Template, layout_of, stop_tags

LONGEST = {"title": 60, "about": 300, "beginnings": 300, "template": 300}
"""Characters."""
MOST_BEGINNINGS = 8
MaxLength = Annotated[int, Meta(ge=1, le=1_000_000)]


class SamplingDefaults(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The sampling options that a request gets unless it says otherwise, and the maximum number of new tokens."""

    temperature: sampling.Temperature | None = None
    top_k: sampling.TopK | None = None
    top_p: sampling.Probability | None = None
    min_p: sampling.Probability | None = None
    typical_p: sampling.TypicalP | None = None
    repetition_penalty: sampling.RepetitionPenalty | None = None
    presence_penalty: sampling.Penalty | None = None
    frequency_penalty: sampling.Penalty | None = None
    length: MaxLength | None = None

    def sampling(self, asked: Mapping[str, float | None], otherwise: Sampling | None = None) -> Sampling:
        """What was asked for, else the model's defaults, else `otherwise`. None asks for nothing."""
        known = {name: value for name, value in asked.items() if value is not None}
        defaults = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}
        defaults.pop("length", None)
        return Sampling(**(asdict(otherwise or Sampling()) | defaults | known))


NO_DEFAULTS = SamplingDefaults()
"""A manifest leaves this very object out."""


class Profile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a model wants to be used and shown.

    `accent` is the colour of its words, #RRGGBB. `template` is for conversations and `questions` for a single question, if the
    model learned another one for that. The beginnings are examples to start with: texts to continue or, with a template that
    has turns, messages.
    """

    title: str = ""
    about: str = ""
    accent: str = ""
    template: Template = "text"
    questions: Template | None = None
    sampling: SamplingDefaults = NO_DEFAULTS
    beginnings: list[str] = []

    def __post_init__(self) -> None:
        for template in (self.template, *([] if self.questions is None else [self.questions])):
            if len(template) > LONGEST["template"]:
                raise ValueError(f"template is {template[:40]!r}: expected at most {LONGEST['template']} characters")
            layout_of(template)
        for name in ("title", "about"):
            check_line(name, getattr(self, name))
        if self.accent:
            check_accent(self.accent)
        if len(self.beginnings) > MOST_BEGINNINGS:
            raise ValueError(f"beginnings has {len(self.beginnings)} texts: expected at most {MOST_BEGINNINGS}")
        for text in self.beginnings:
            check_text("beginnings", text)

    @property
    def question_template(self) -> Template:
        return self.questions or self.template

    @property
    def stop_tags(self) -> list[str]:
        """The tags that end the model's turn."""
        return stop_tags(self.template, self.question_template)


def check_line(name: str, text: str) -> None:
    """Raises ValueError unless the text is one line without control characters, and not too long."""
    if len(text) > LONGEST[name] or re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", text):
        raise ValueError(f"{name} is {text[:40]!r}: expected one line of at most {LONGEST[name]} characters")


def check_text(name: str, text: str) -> None:
    """Raises ValueError where a text is blank or too long, or has control characters other than line ends."""
    if not text.strip() or len(text) > LONGEST[name] or re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text):
        raise ValueError(f"{name} has {text[:40]!r}: expected 1 to {LONGEST[name]} characters")
