"""Texts that a pattern or a parser could try for hours are read in the time that their length asks for.

Each took minutes to hours at this length, since whatever began but did not end was looked for anew from each place.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from finetune.data.chats.whatsapp_export import message_of
from finetune.data.chats.x_archive import Tweet, tweet_text
from finetune.data.html_text import html_text
from finetune.data.markdown_text import markdown_text
from finetune.data.subtitles import subtitle_text

TIMES = 50_000
LINE = "1\n00:00:01,000 --> 00:00:02,000\n"


def subtitles(line: str) -> str:
    return "".join(subtitle_text([*LINE.splitlines(keepends=True), f"{line}\n"]))


def whatsapp(text: str) -> str:
    return "".join(message.text for message in message_of("Anna", f"a{text}\u200ea", 0.0))


def reply(text: str) -> str:
    return tweet_text(Tweet(full_text=f"@{text} x", in_reply_to_status_id_str="1"))


@pytest.mark.parametrize(
    ("read", "repeated"),
    [
        (html_text, "<!--"),
        (html_text, "<a "),
        (html_text, "<a/"),
        (html_text, '<a href="'),
        (html_text, "<svg></math>"),
        (html_text, "<![CDATA["),
        (markdown_text, "<!--"),
        pytest.param(markdown_text, "[[", marks=pytest.mark.slow),
        (whatsapp, " \n"),
        (reply, "a@"),
        (reply, "a https://t.co/a "),
        (reply, " \n"),
        (subtitles, "{\\an"),
    ],
)
def test_what_does_not_end_is_read_once(read: Callable[[str], str], repeated: str) -> None:
    assert len(read(repeated * TIMES)) <= len(repeated) * TIMES + 10


def test_subtitles_without_a_full_stop_are_one_line() -> None:
    """What a machine wrote down has none, and was put together anew with each cue."""
    cue = "00:00:01,000 --> 00:00:02,000\n"
    lines = [line for number in range(20_000) for line in (cue, f"word{number}\n", "\n")]
    text = "".join(subtitle_text(lines))
    assert text.startswith("word0 word1 ")
    assert text.count("\n") == 1


def test_a_cue_after_a_pause_has_one_blank_line_before_it() -> None:
    lines = "00:00:01,000 --> 00:00:02,000\nOne.\n\n00:00:09,000 --> 00:00:10,000\nTwo.\nThree.\n"
    assert "".join(subtitle_text(lines.splitlines(keepends=True))) == "One.\n\nTwo.\nThree.\n"


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("a < b, <3 and <!-- unclosed", "a < b, <3 and <!-- unclosed"),
        ("a<!-- <p>no</p> -->b", "ab"),
        ("<a title=don't>I'm</a>", "I'm"),
        ('<p title="a > b">Yes', "Yes"),
        ("<head><title>No</title><body>Yes", "Yes"),
        ("<ruby>漢<rp>(<rt>kan<rp>)</ruby>字", "漢字"),
        ("<p>a<br/>b<script/>c", "a\nbc"),
    ],
)
def test_tags_that_are_not_closed_do_no_harm(page: str, text: str) -> None:
    assert html_text(page) == text
