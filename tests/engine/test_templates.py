"""Templates by name and as patterns: what they write, and which of their tags end a turn."""

from __future__ import annotations

import pytest

from app.engine.fake import FakeEngine, byte_tokenizer
from app.engine.profile import Profile
from app.engine.prompts import all_turn_tokens, alternating
from app.engine.stop_strings import StopStringFilter
from app.engine.templates import NAMED, is_template, layout_of, stop_tags

TURNS = ["Are we there?", "Nearly.", "And now?"]
WRITTEN = {
    "text": "Are we there?\nNearly.\nAnd now?",
    "qa": "[QUESTION] Are we there?\n[ANSWER] Nearly.\n[QUESTION] And now?\n[ANSWER]",
    "[USER] %\n[BOT] %": "[USER] Are we there?\n[BOT] Nearly.\n[USER] And now?\n[BOT]",
    "Q:%\nA:%": "Q:Are we there?\nA:Nearly.\nQ:And now?\nA:",
    "### Human:\n%\n\n### Model:\n%": (
        "### Human:\nAre we there?\n\n### Model:\nNearly.\n\n### Human:\nAnd now?\n\n### Model:\n"
    ),
    "- %\n- %": "- Are we there?\n- Nearly.\n- And now?\n-",
}


@pytest.mark.parametrize("template", WRITTEN)
def test_a_conversation_is_written_as_the_template_says(template: str) -> None:
    engine = FakeEngine(template=template)
    tokens = all_turn_tokens(engine, alternating(TURNS))
    assert engine.tokenizer.decode(token for token in tokens if token != 256) == WRITTEN[template]


def test_a_pattern_of_a_named_template_is_that_template() -> None:
    assert layout_of("[QUESTION] %\n[ANSWER] %") == NAMED["qa"]
    assert [layout_of(template).has_turns for template in ("text", "qa", "chat", "- %\n- %")] == [
        False,
        True,
        True,
        True,
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "quiz",
        "%",
        "% %",
        "%\n%",
        "[USER] %",
        "[USER] %\n%",
        "%\n[BOT] %",
        "[USER]%[BOT]%",
        "a % b % c %",
        "a %\nb % c",
    ],
)
def test_anything_else_is_refused(wrong: str) -> None:
    assert not is_template(wrong)
    with pytest.raises(ValueError, match="a tag before each of two %"):
        Profile(questions=wrong or " ")


STARTER_TAGS = ["[USER]", "[BOT]", "[VERDICT]"]


def test_all_tags_of_a_model_end_its_turn() -> None:
    assert stop_tags("qa") == ["[QUESTION]", "[ANSWER]", *STARTER_TAGS]
    assert Profile(template="[USER] %\n[BOT] %", questions="qa").stop_tags == [
        "[USER]",
        "[BOT]",
        "[QUESTION]",
        "[ANSWER]",
        "[VERDICT]",
    ]
    assert stop_tags("text") == stop_tags("chat") == []
    assert stop_tags("Q: %\nA: %", "<|u|> %\n<|m|> %") == ["\nQ:", "\nA:", "<|u|>", "<|m|>"]
    assert stop_tags("Q: % A: %") == ["Q:", "A:"]


SPOKEN = {
    "anywhere in brackets": ("[USER] %\n[BOT] %", "Yes. [BOT] No.", "Yes."),
    "after any white space": ("[USER] %\n[BOT] %", "Yes. \n\n\t[USER] No.", "Yes."),
    "at the beginning": ("[USER] %\n[BOT] %", "\n[USER] No.", ""),
    "a word where a line begins": ("Q: %\nA: %", "Plan A: yes.\n A: No.", "Plan A: yes."),
    "a word where the text begins": ("Q: %\nA: %", " Q: No.", ""),
    "a whole word": ("You %\nBot %", "You\nYours\nBottle\nBot\tNo.", ""),
    "not within a word": ("You %\nBot %", "Yes.\nYours\nBottle\nBot No.", "Yes.\nYours\nBottle"),
    "not within a word where turns stand in one line": ("Q: % A: %", "FAQ: yes, IQ:9 Q: No.", "FAQ: yes, IQ:9"),
    "a dash": ("- %\n- %", "Well-known - yes.\n- No.", "Well-known - yes."),
    "never where there is none": ("[USER] %\n[BOT] %", "Yes [B] and \n\n [ANSWER", "Yes [B] and \n\n [ANSWER"),
}


@pytest.mark.parametrize("case", SPOKEN)
def test_a_turn_ends_where_a_tag_stands(case: str) -> None:
    """Byte by byte, as a stream would show it: no part of a tag and no white space before one is ever shown."""
    template, text, expected = SPOKEN[case]
    grown, shown = StopStringFilter(byte_tokenizer(), (), tags=stop_tags(template)), ""
    for byte in text.encode():
        shown += grown.add(byte)
        assert expected.startswith(shown)
        if grown.stopped:
            break
    assert shown + grown.rest() == expected


@pytest.mark.parametrize(
    ("template", "text", "shown"),
    [
        ("You %\nBot %", "Yes.\nBot", "Yes."),
        ("You %\nBot %", "Yes, a Bot", "Yes, a Bot"),
        ("Q: %\nA: %", "Yes.\nA", "Yes."),
        ("Q: %\nA: %", "Type A", "Type A"),
        ("Q: %\nA: %", "Yes.\n", "Yes.\n"),
    ],
)
def test_a_tag_that_is_broken_off_is_not_shown(template: str, text: str, shown: str) -> None:
    grown = StopStringFilter(byte_tokenizer(), (), tags=stop_tags(template))
    assert "".join([*map(grown.add, text.encode()), grown.rest()]) == shown
