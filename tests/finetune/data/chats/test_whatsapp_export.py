"""WhatsApp's exports are read in the dates and words of many phones."""

from __future__ import annotations

from itertools import pairwise

import pytest

from finetune.data.chats.sent_message import SentMessage
from finetune.data.chats.whatsapp_export import date_order, is_whatsapp, read_whatsapp

# The 13th of December 2020, 23:58, then 23:59, then the 14th, 00:01, as phones write them before a message.
HEADS = {
    "Android, USA": ["12/13/20, 11:58 PM - ", "12/13/20, 11:59 PM - ", "12/14/20, 12:01 AM - "],
    "Android, USA, narrow space": ["12/13/20, 11:58\u202fPM - ", "12/13/20, 11:59\u202fPM - ", "12/14/20, 12:01\u202fAM - "],
    "Android, UK": ["13/12/2020, 23:58 - ", "13/12/2020, 23:59 - ", "14/12/2020, 00:01 - "],
    "Android, India": ["13/12/20, 11:58 pm - ", "13/12/20, 11:59 pm - ", "14/12/20, 12:01 am - "],
    "Android, Germany": ["13.12.20, 23:58 - ", "13.12.20, 23:59 - ", "14.12.20, 00:01 - "],
    "Android, Brazil": ["13/12/2020 23:58 - ", "13/12/2020 23:59 - ", "14/12/2020 00:01 - "],
    "Android, Spain": ["13/12/20 23:58 - ", "13/12/20 23:59 - ", "14/12/20 0:01 - "],
    "Android, Mexico": ["13/12/20 11:58 p. m. - ", "13/12/20 11:59 p. m. - ", "14/12/20 12:01 a. m. - "],
    "Android, Netherlands": ["13-12-20 23:58 - ", "13-12-20 23:59 - ", "14-12-20 00:01 - "],
    "Android, Finland": ["13.12.2020 klo 23.58 - ", "13.12.2020 klo 23.59 - ", "14.12.2020 klo 0.01 - "],
    "Android, Sweden": ["2020-12-13 23:58 - ", "2020-12-13 23:59 - ", "2020-12-14 00:01 - "],
    "Android, Japan": ["2020/12/13 23:58 - ", "2020/12/13 23:59 - ", "2020/12/14 0:01 - "],
    "Android, China": ["2020/12/13 下午11:58 - ", "2020/12/13 下午11:59 - ", "2020/12/14 上午12:01 - "],
    "Android, Hungary": ["2020. 12. 13. 23:58 - ", "2020. 12. 13. 23:59 - ", "2020. 12. 14. 0:01 - "],
    "Android, Korea": ["2020. 12. 13. 오후 11:58 - ", "2020. 12. 13. 오후 11:59 - ", "2020. 12. 14. 오전 12:01 - "],
    "Android, Israel": ["\u200f13.12.2020, 23:58 - ", "\u200f13.12.2020, 23:59 - ", "\u200f14.12.2020, 0:01 - "],
    "Android, Egypt": ["١٣/١٢/٢٠٢٠، ١١:٥٨ م - ", "١٣/١٢/٢٠٢٠، ١١:٥٩ م - ", "١٤/١٢/٢٠٢٠، ١٢:٠١ ص - "],
    "Android, Thailand": ["13/12/20 23:58 น. - ", "13/12/20 23:59 น. - ", "14/12/20 00:01 น. - "],
    "Android, Vietnam": ["13/12/2020, 11:58 CH - ", "13/12/2020, 11:59 CH - ", "14/12/2020, 12:01 SA - "],
    "Android, Bulgaria": ["13.12.2020 г., 23:58 - ", "13.12.2020 г., 23:59 - ", "14.12.2020 г., 0:01 - "],
    "Android, Bulgaria's clock": ["13.12.2020 г., 23:58 ч. - ", "13.12.2020 г., 23:59 ч. - ", "14.12.2020 г., 0:01 ч. - "],
    "Android, Iran": ["۲۰۲۰/۱۲/۱۳،\u200f ۲۳:۵۸ - ", "۲۰۲۰/۱۲/۱۳،\u200f ۲۳:۵۹ - ", "۲۰۲۰/۱۲/۱۴،\u200f ۰:۰۱ - "],
    "Android, Jordan": [
        "13\u200f/12\u200f/2020, 11:58 م - ", "13\u200f/12\u200f/2020, 11:59 م - ", "14\u200f/12\u200f/2020, 12:01 ص - ",
    ],
    "Android, France": ["13/12/2020 à 23:58 - ", "13/12/2020 à 23:59 - ", "14/12/2020 à 00:01 - "],
    "iPhone, USA": ["[12/13/20, 11:58:00 PM] ", "[12/13/20, 11:59:00 PM] ", "[12/14/20, 12:01:00 AM] "],
    "iPhone, UK": ["[13/12/2020, 23:58:00] ", "[13/12/2020, 23:59:00] ", "[14/12/2020, 00:01:00] "],
    "iPhone, Germany": ["[13.12.20, 23:58:00] ", "[13.12.20, 23:59:00] ", "[14.12.20, 00:01:00] "],
    "iPhone, Italy": ["[13/12/20, 23:58:00] ", "[13/12/20, 23:59:00] ", "[14/12/20, 00:01:00] "],
    "iPhone, China": ["[2020/12/13 下午11:58:00] ", "[2020/12/13 下午11:59:00] ", "[2020/12/14 上午12:01:00] "],
    "iPhone, Canada": ["[2020-12-13, 11:58:00 p.m.] ", "[2020-12-13, 11:59:00 p.m.] ", "[2020-12-14, 12:01:00 a.m.] "],
}  # fmt: skip


def messages(text: str) -> list[SentMessage]:
    assert is_whatsapp(text)
    lines = text.splitlines(keepends=True)
    return list(read_whatsapp(date_order(lines), lines))


def said(text: str) -> list[tuple[str, str]]:
    return [(message.author, message.text) for message in messages(text)]


@pytest.mark.parametrize("phone", HEADS)
def test_dates_of_many_phones(phone: str) -> None:
    first, second, third = HEADS[phone]
    found = messages(f"{first}Anna: One.\n{second}Bob Ross: Two: yes.\nAnd more.\n\n- A list\n{third}Anna: Three.\n")
    assert [message[:2] for message in found] == [
        ("Anna", "One."), ("Bob Ross", "Two: yes.\nAnd more.\n\n- A list"), ("Anna", "Three."),
    ]  # fmt: skip
    assert [late.at - early.at for early, late in pairwise(found)] == [60, 120]


def test_the_order_of_day_and_month_is_found_from_all_dates() -> None:
    """Each date alone may be either. By the day first, the second message would be eight months older than the first."""
    days = ["1/9/21", "1/10/21", "2/1/21", "2/2/21"]
    by_month = messages("".join(f"{day}, 10:00 - Anna: x\n" for day in days))
    assert [(late.at - early.at) / 86400 for early, late in pairwise(by_month)] == [1, 22, 1]
    by_day = messages("".join(f"{day}, 10:00 - Anna: x\n" for day in ["9/1/21", "10/1/21", "1/2/21", "2/2/21"]))
    assert [(late.at - early.at) / 86400 for early, late in pairwise(by_day)] == [1, 22, 1]


ANDROID = """13/12/20, 10:00 - Messages and calls are end-to-end encrypted. Tap to learn more.
13/12/20, 10:00 - Anna created group "Ducks: a club"
13/12/20, 10:00 - Anna changed the subject from “Ducks” to “Ducks: yes”
13/12/20, 10:01 - Anna: Hello @\u2068Bob\u2069!
13/12/20, 10:02 - Bob: <Media omitted>
13/12/20, 10:02 - Bob: <Medien ausgeschlossen>
13/12/20, 10:02 - Bob: IMG-20201213-WA0001.jpg (file attached)
13/12/20, 10:02 - Bob: IMG-20201213-WA0002.jpg (Datei angehängt)
Look at this duck.
13/12/20, 10:03 - Bob: This message was deleted
13/12/20, 10:03 - Bob: null
13/12/20, 10:03 - Bob: location: https://maps.google.com/?q=52.5,13.4
13/12/20, 10:03 - Bob:
13/12/20, 10:04 - +49 170 1234567: Quack <3 and 1 > 0
13/12/20, 10:05 - Anna: Fine. <This message was edited>
"""
IPHONE = """\ufeff[13.12.20, 10:00:00] Ducks: \u200eMessages and calls are end-to-end encrypted.
[13.12.20, 10:00:00] Ducks: \u200eAnna created this group
[13.12.20, 10:01:00] Anna: Hello @\u2068Bob\u2069!
\u200e[13.12.20, 10:02:00] ~ Bob: \u200eimage omitted
\u200e[13.12.20, 10:02:00] ~ Bob: Look at this duck. \u200e<attached: 00000012-PHOTO-2020-12-13.jpg>
[13.12.20, 10:03:00] ~ Bob: \u200eThis message was deleted.
[13.12.20, 10:04:00] \u202a+49 170 1234567\u202c: Quack <3 and 1 > 0
[13.12.20, 10:05:00] Anna: Fine. \u200e<This message was edited>
"""
KOREAN = """2020년 12월 13일 오후 11:58, 철수 : 안녕
2020년 12월 13일 오후 11:59, 영희 : 네: 그래요
2020년 12월 14일 오전 12:01, 철수 : 응
"""


@pytest.mark.parametrize("text", [ANDROID, IPHONE])
def test_only_what_people_wrote_is_read(text: str) -> None:
    assert said(text) == [
        ("Anna", "Hello @Bob!"), ("Bob", "Look at this duck."), ("+49 170 1234567", "Quack <3 and 1 > 0"), ("Anna", "Fine."),
    ]  # fmt: skip


def test_a_colon_may_have_a_space_before_it() -> None:
    assert said(KOREAN) == [("철수", "안녕"), ("영희", "네: 그래요"), ("철수", "응")]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hello: a text.\n13/12/20, 10:00 - Anna: One.",
        "12.5 - that is how much: all\n",
        "13/12/20, 10:00 - nobody says anything\n",
        "2020-12-13 10:00:00 ERROR: a log\n",
        "2020-12-13 10:00:00 - INFO: a log\n" * 9,
        "".join(f"13/12/20, 10:00 - I met {name}: a diary\n" for name in ("Anna", "Bob", "Carl", "Dora")),
        "99/99/99, 10:00 - a score\n",
    ],
)
def test_other_texts_are_not_taken_for_a_chat(text: str) -> None:
    assert not is_whatsapp(text)


def test_a_line_that_looks_like_a_date_without_being_one_belongs_to_the_message() -> None:
    assert said("13/12/20, 10:00 - Anna: Scores:\n45/45/20, 10:00 - Bob: x\n13/12/20, 10:01 - Bob: y\n") == [
        ("Anna", "Scores:\n45/45/20, 10:00 - Bob: x"), ("Bob", "y"),
    ]  # fmt: skip
    assert said("13/12/20, 10:00 - Anna: At\n13/12/20, 29:00 - Bob: x\n") == [("Anna", "At\n13/12/20, 29:00 - Bob: x")]
