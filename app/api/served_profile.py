"""What the service tells about a model's profile, on `/version` and `/v1/models`."""

from __future__ import annotations

import msgspec

from app.engine.accent import on_dark
from app.engine.base import Engine
from app.engine.profile import SamplingDefaults
from app.engine.templates import Template, layout_of


class Tags(msgspec.Struct, frozen=True):
    """The tags before a person's turns and before the model's."""

    person: str
    model: str


class ServedProfile(msgspec.Struct, frozen=True, kw_only=True):
    """How a model wants to be used and shown. What its bundle does not say is empty.

    `accent` is a colour, #RRGGBB, and `accent_on_dark` what it becomes on dark paper. `sampling` has the defaults of a request
    that says nothing else. `template` and `tags` are for conversations, `questions` and `question_tags` for single questions.
    A model without `turns` continues a text.
    """

    title: str
    about: str
    accent: str
    accent_on_dark: str
    template: Template
    tags: Tags
    questions: Template
    question_tags: Tags
    turns: bool
    sampling: SamplingDefaults
    beginnings: list[str]
    n_ctx: int


def profile_of(engine: Engine, *, with_beginnings: bool = True) -> ServedProfile:
    """The beginnings may be parts of a corpus that is not for everybody."""
    profile, layout = engine.profile, layout_of(engine.profile.template)
    return ServedProfile(
        title=profile.title,
        about=profile.about,
        accent=profile.accent,
        accent_on_dark=on_dark(profile.accent) if profile.accent else "",
        template=profile.template,
        tags=Tags(*layout.tags),
        questions=profile.question_template,
        question_tags=Tags(*layout_of(profile.question_template).tags),
        turns=layout.has_turns,
        sampling=profile.sampling,
        beginnings=profile.beginnings if with_beginnings else [],
        n_ctx=engine.n_ctx,
    )
