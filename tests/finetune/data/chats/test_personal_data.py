"""Names, numbers, addresses and links of a chat become placeholders that say what stood there."""

from __future__ import annotations

from collections import Counter

import pytest

from finetune.data.chats.personal_data import PersonalData

PEOPLE = ["Anna Schmidt", "Bob 🦆", "Will Young", "李小龙", "Jean-Luc", "+49 170 1234567"]


@pytest.mark.parametrize(
    ("text", "replaced"),
    [
        ("Anna, are you there?", "[name1], are you there?"),
        ("anna's and ANNA and Annabel", "[name1]'s and [name1] and Annabel"),
        ("Anna Schmidt and Frau Schmidt", "[name1] and Frau [name1]"),
        ("@Anna Schmidt and @bob!", "[name1] and [name2]!"),
        ("Will you come? I will. Ask Will.", "Will you come? I will. Ask [name3]."),
        ("Jean-Luc knows", "[name5] knows"),
        ("我和李小龙去", "我和[name4]去"),
        ("Call +49 170 1234567 or (030) 1234-5678 or 555-1234.", "Call [phone] or [phone] or [phone]."),
        (
            "In 2020, on 13.12.2020 at 10:00, 100000 ducks for 3,50",
            "In 2020, on 13.12.2020 at 10:00, 100000 ducks for 3,50",
        ),
        ("Hello @491701234567!", "Hello [user]!"),
        ("Mail me@x-y.co.uk.", "Mail [email]."),
        ("See https://x.org/a?b=c#d, (www.x.org/a) or youtu.be/abc.", "See [link], ([link]) or [link]."),
        ("and/or 1.5/2 e.g. this. A.B/C", "and/or 1.5/2 e.g. this. A.B/C"),
        ("Ask @someone_else or @49170!", "Ask [user] or [user]!"),
        ("No names: ann, bobby, schmidts, 李小.", "No names: ann, bobby, schmidts, 李小."),
    ],
)
def test_what_is_replaced_and_what_is_not(text: str, replaced: str) -> None:
    assert PersonalData(PEOPLE).replaced(text) == replaced


def test_it_is_counted() -> None:
    personal = PersonalData(PEOPLE)
    personal.replaced("Anna, https://x.org +49 170 1234567 a@b.org @who 李小龙")
    personal.of(["Carl"]).replaced("Carl and Anna")
    assert personal.counts == Counter(name=3, link=1, phone=1, email=1, user=1)
    assert PersonalData([]).replaced("Anna") == "Anna"
