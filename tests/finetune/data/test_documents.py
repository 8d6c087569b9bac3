"""Turns become parts of a document, each with its role."""

from __future__ import annotations

import pytest

from app.engine.templates import Template
from finetune.data.documents import from_turns
from finetune.data.prepared import Role


@pytest.mark.parametrize(
    ("template", "parts"),
    [
        ("text", [(Role.PROMPT, "a", False), (Role.REPLY, "\nb", False), (Role.TEXT, "\nc", True)]),
        ("qa", [
            (Role.PROMPT, "[QUESTION] a", False), (Role.REPLY, "\n[ANSWER] b", False), (Role.TEXT, "\n[QUESTION] c", True)
        ]),
        ("chat", [(Role.PROMPT, "a", True), (Role.REPLY, "b", True), (Role.TEXT, "c", True)]),
    ],
)  # fmt: skip
def test_a_template_formats_turns_and_gives_each_its_role(
    template: Template, parts: list[tuple[Role, str, bool]]
) -> None:
    assert list(from_turns(["a", "b ", "c"], None, template)) == parts
    assert from_turns(["a"], None, template)[0].role is Role.TEXT
    meta, first, *_ = from_turns(["a", "b"], "code", template)
    assert (meta.role, meta.text, first.role, first.text) == (Role.META, "code", Role.PROMPT, f" {parts[0][1]}")
