"""Jokes, answers and conversations, as people see them."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.blind.jokes import split_joke
from app.bot.message_limits import LIMIT, cut
from app.bot.strings import (
    MESSAGE_GONE,
    NOTHING_WRITTEN,
)
from app.engine.fake import SCRIPT, FakeEngine
from app.engine.prompts import alternating, fitting_turn_tokens
from app.engine.tokenizer import Tokenizer
from tests.bot.conftest import GROUP, SHOWN, ask, bot, labels, press, rows
from tests.fakes.bot_api_fields import units
from tests.fakes.listening_engine import ListeningEngine


def test_a_joke_is_a_question_and_its_answer(store: str) -> None:
    with bot(feedback=store) as telegram:
        said = ask(telegram, "/joke")
    assert said["text"] == SHOWN
    assert labels(said) == ["👍", "👎", "Another"]
    assert "reply_to_message" not in said
    assert rows(store, "SELECT prompt, text, generated_by, source, channel FROM texts") == [
        (*SHOWN.split("\n\n"), "fake", "model", "telegram")
    ]


def test_a_model_of_plain_text_writes_without_a_prompt_and_continues_a_message() -> None:
    with bot(FakeEngine()) as telegram:
        telegram.settle()
        assert ask(telegram, "/joke")["text"] == (SCRIPT * 3)[:100].strip()
        assert ask(telegram, "And then")["text"] == (SCRIPT * 3)[:100].strip()


def test_any_text_is_a_question_to_answer(store: str) -> None:
    with bot(FakeEngine(" It had a bill to pay.\n[QUESTION] And", template="qa"), feedback=store) as telegram:
        said = ask(telegram, "Why did the duck stop?")
    assert said["text"] == "It had a bill to pay."
    assert said["reply_to_message"]["text"] == "Why did the duck stop?"
    assert rows(store, "SELECT prompt, text FROM texts") == [("Why did the duck stop?", "It had a bill to pay.")]


def test_another_joke_and_another_answer_to_the_same_question(store: str) -> None:
    with bot(feedback=store) as telegram:
        joke = ask(telegram, "/joke")
        press(telegram, joke, "Another")
        assert [said["text"] for said in telegram.said(7)] == [SHOWN, SHOWN]
        answer = ask(telegram, "Why?")
        press(telegram, answer, "Another")
        assert telegram.said(7)[-1]["reply_to_message"]["message_id"] == answer["reply_to_message"]["message_id"]
        press(telegram, {name: part for name, part in answer.items() if name != "reply_to_message"}, "Another")
        assert telegram.notices[-1]["text"] == MESSAGE_GONE
    assert [prompt for (prompt,) in rows(store, "SELECT prompt FROM texts ORDER BY created")][2:] == ["Why?", "Why?"]


@pytest.mark.parametrize("store", ["", "sqlite:///{}/f.db"])
def test_a_conversation_is_remembered_until_it_is_reset(store: str, tmp_path: Path) -> None:
    """Another answer replaces the one before."""
    engine = ListeningEngine("Yes.", template="chat")
    with bot(engine, feedback=store.format(tmp_path)) as telegram:
        ask(telegram, "/chat")
        first = ask(telegram, "Hello")
        second = ask(telegram, "How are you?")
        press(telegram, second, "Another")
        ask(telegram, "How are you?")
        ask(telegram, "/reset")
        ask(telegram, "Hello")
    said = ["Hello", first["text"], "How are you?", second["text"], "How are you?"]
    assert engine.heard == [turns(engine, *said[:number]) for number in (1, 3, 3, 5, 1)]


def turns(engine: FakeEngine, *said: str) -> list[int]:
    return fitting_turn_tokens(engine, alternating(said), 100)


HOSTILE = {
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈 why?",
    "right to left": "لماذا توقفت البطة؟ \u202eabc",
    "html": "<b>why</b> &amp; <script>alert(1)</script>",
    "markdown": "*why* _not_ [x](http://a.example) `",
    "marks": "[QUESTION] [ANSWER] <|endoftext|>",
    "nul": "why\x00not",
    "newlines": "\n\n why \n\n",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_any_text_is_answered_and_shown_unchanged(text: str, store: str) -> None:
    with bot(FakeEngine(text, template="chat"), feedback=store) as telegram:
        said = ask(telegram, text)
        press(telegram, said, "👍")
        shown = telegram.now(said)
    assert shown["text"].startswith(text.strip()[:4].strip())
    assert rows(store, "SELECT value FROM votes") == [(1,)]


@pytest.mark.parametrize(
    "script", [" Yes.\n[ANSWER] No.", " Yes. [QUESTION] No?", " Yes.[ANSWER] No.", f"{' ' * 89} Yes.\n[ANSW"]
)
def test_every_tag_ends_an_answer(script: str) -> None:
    """Answers once showed [ANSWER], and at the end of their length the beginning of a tag."""
    with bot(FakeEngine(script, template="qa")) as telegram:
        assert ask(telegram, "Why?")["text"] == "Yes."


@pytest.mark.parametrize(
    ("script", "shown"),
    [
        (" Why?\n[ANSWER] So.\n[ANSWER] No.", "Why?\n\nSo."),
        (f" Why?{' ' * 86}\n[ANSWER]", "Why?"),
        (f" Why?{' ' * 89}\n[ANSW", "Why?"),
        (f" Why? [ANSWER] So.{' ' * 76}\n[QUES", "Why?\n\nSo."),
    ],
)
def test_no_tag_is_shown_in_a_joke(script: str, shown: str) -> None:
    with bot(FakeEngine(script, template="qa")) as telegram:
        assert ask(telegram, "/joke")["text"] == shown


def test_no_part_of_a_tag_is_shown_while_a_joke_is_written() -> None:
    text = " Why?\n[ANSWER] So.\n[ANSWER] No."
    shown = [split_joke(text[:length], "[ANSWER]").shown for length in range(len(text) + 1)]
    assert not "".join(shown).count("[")
    assert shown[-1] == "Why?\n\nSo."


def test_a_model_that_leaves_its_turn_empty_is_not_shown_with_the_tag_of_the_next() -> None:
    """The newline before the tag was once dropped as the space in front of an answer, and the tag then shown."""
    with bot(FakeEngine("\n[QUESTION] Why?", template="qa")) as telegram:
        assert ask(telegram, "hello")["text"] == NOTHING_WRITTEN


def test_a_text_longer_than_the_window_is_refused_with_an_explanation() -> None:
    with bot() as telegram:
        said = ask(telegram, "why " * 25_000)
        assert said["text"].startswith("That is too long for me: ")
        assert telegram.statuses == {200: 1}


@pytest.mark.parametrize("script", ["🦆" * 30, "long words 🦆 "])
def test_a_text_longer_than_a_message_is_cut(script: str, store: str) -> None:
    with bot(Wordy(script), feedback=store) as telegram:
        said = ask(telegram, "/joke")
        press(telegram, said, "👍")
        assert LIMIT - 2 <= units(said["text"]) <= LIMIT
        assert units(telegram.now(said)["text"]) <= 4096


class Wordy(FakeEngine):
    """Each token that it writes is `words`, ten times."""

    def __init__(self, words: str) -> None:
        super().__init__("a")
        self.tokenizer = WordyTokenizer(words, self.tokenizer)


class WordyTokenizer(Tokenizer):
    def __init__(self, words: str, tokenizer: Tokenizer) -> None:
        super().__init__(tokenizer._tokenizer)
        self._words = words * 10

    def bytes_of(self, token: int) -> bytes:
        return self._words.encode()


def test_a_text_is_cut_between_characters() -> None:
    assert cut("a🦆b", 3) == "a🦆"
    assert cut("a🦆b", 2) == "a"
    assert units(cut("🦆" * 5000)) <= LIMIT


def test_a_model_with_nothing_to_say_says_so() -> None:
    with bot(FakeEngine("")) as telegram:
        for text in ("/joke", "Why?"):
            said = ask(telegram, text)
            assert (said["text"], labels(said)) == (NOTHING_WRITTEN, [])


def test_drafts_show_a_long_answer_as_it_grows_and_end_before_the_answer() -> None:
    with bot(FakeEngine("abcdefghij", seconds_per_token=0.02)) as telegram:
        said = ask(telegram, "Why?")
        drafts = [draft["text"] for draft in telegram.drafts]
        assert len(drafts) >= 2
        assert all(said["text"].startswith(draft) for draft in drafts)
        assert sorted(drafts, key=len) == drafts
        assert len({draft["draft_id"] for draft in telegram.drafts}) == 1


def test_groups_see_that_the_bot_is_typing() -> None:
    with bot(FakeEngine(seconds_per_token=0.02)) as telegram:
        ask(telegram, "@JokerBot why?", chat=GROUP, user=7)
        assert telegram.calls["sendChatAction"] in (1, 2)  # Two if the machine is slow.
        assert telegram.drafts == []
