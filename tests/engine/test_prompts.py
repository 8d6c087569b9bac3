"""Turns become the same tokens as in training; the oldest are left out when the window is full."""

from __future__ import annotations

import pytest

from app.engine.bundle import Template
from app.engine.fake import FakeEngine
from app.engine.prompts import TAGS, fitting_turn_tokens, turn_stops
from app.errors import PromptTooLong
from finetune.data.documents import from_turns

TURNS = ["Are we there?", "Nearly.", "Are we there now?"]


@pytest.mark.parametrize("template", ["text", "qa", "chat"])
def test_serving_puts_turns_as_training_does(template: Template) -> None:
    engine = FakeEngine(template=template)
    answer = "Yes."
    expected = [256]
    for part in from_turns([*TURNS, answer], None, template):
        expected += engine.tokenizer.encode(part.text) + [256] * part.ends
    before = {"text": "\n", "qa": TAGS["qa"][1][-1], "chat": ""}[template]
    assert [*fitting_turn_tokens(engine, TURNS, 1), *engine.tokenizer.encode(before + answer), 256] == expected


def test_the_next_question_ends_the_turn_of_a_qa_model() -> None:
    assert turn_stops("qa") == ["\n[QUESTION]"]
    assert turn_stops("chat") == turn_stops("text") == []


@pytest.mark.parametrize(("n_ctx", "kept"), [(1024, TURNS), (40, TURNS[2:])])
def test_the_oldest_turns_are_left_out_in_pairs(n_ctx: int, kept: list[str]) -> None:
    engine = FakeEngine(n_ctx=n_ctx, template="chat")
    assert fitting_turn_tokens(engine, TURNS, 10) == fitting_turn_tokens(FakeEngine(template="chat"), kept, 10)


def test_as_many_turns_as_fit_are_kept() -> None:
    turns = ["x" * 9] * 2001
    for room, kept in ((1, 101), (24, 99), (500, 51)):
        assert len(fitting_turn_tokens(FakeEngine(n_ctx=1024, template="chat"), turns, room)) == 1 + kept * 10


def test_a_first_turn_of_the_model_is_left_out() -> None:
    engine = FakeEngine(template="chat")
    assert fitting_turn_tokens(engine, ["Hello!", *TURNS[:1]], 1) == fitting_turn_tokens(engine, TURNS[:1], 1)


def test_a_long_last_turn_may_fill_the_window_and_not_exceed_it() -> None:
    engine = FakeEngine(n_ctx=16, template="chat")
    assert len(fitting_turn_tokens(engine, ["x" * 14], 10)) == 16
    with pytest.raises(PromptTooLong):
        fitting_turn_tokens(engine, ["x" * 15], 10)
