"""The bot: what people write and press, and what they see."""

from __future__ import annotations

from tests.bot.conftest import bot


def test_a_joke_is_a_question_and_its_answer(store: str) -> None:
    with bot(feedback=store) as telegram:
        telegram.write(7, "/joke")
        telegram.settle()
        (said,) = telegram.said(7)
        assert said["text"] == "Why did the duck stop?\n\nIt had a bill to pay."
        assert [button["text"] for button in said["reply_markup"]["inline_keyboard"][0]] == ["👍", "👎", "Another"]


def test_any_text_is_a_question(store: str) -> None:
    with bot(feedback=store) as telegram:
        telegram.write(7, "Why did the duck stop?")
        telegram.settle()
        (said,) = telegram.said(7)
        assert said["reply_to_message"]["text"] == "Why did the duck stop?"


def test_a_vote_is_kept_and_thanked_for(store: str) -> None:
    with bot(feedback=store) as telegram:
        telegram.write(7, "/joke")
        telegram.settle()
        (said,) = telegram.said(7)
        telegram.press(said, telegram.button(said, "👍"))
        telegram.settle()
        assert telegram.now(said)["text"] == said["text"] + "\n\nThank you for your feedback."
        assert telegram.notices[-1]["text"] == "👍 counted. Thank you!"
