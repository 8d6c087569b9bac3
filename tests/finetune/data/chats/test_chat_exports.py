"""The exports of Telegram, Discord and X are known by their content, and only what people wrote is read."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from app.errors import DataError, SettingError
from finetune.data.chats.chat_reading import ChatRules, chat_rules, read_chats
from finetune.data.chats.people import choose_people
from finetune.data.file_kinds import Kind
from finetune.data.input_files import find_files
from tests.finetune.data.chats.exports import (
    AS_ANNA,
    AS_BOB,
    SAID,
    TWEET_TEXTS,
    TWEETS,
    discord,
    discord_table,
    package,
    package_table,
    telegram,
    telegram_account,
    telegram_messages,
    whatsapp,
    x_messages,
)
from tests.finetune.data.reading import read, written

EXPORTS: dict[str, tuple[Kind, str]] = {
    "WhatsApp Chat with Anna.txt": ("whatsapp", whatsapp()),
    "_chat.txt": ("whatsapp", f"\ufeff{whatsapp()}"),
    "chat": ("whatsapp", whatsapp().replace("\n", "\r\n")),
    "result.json": ("telegram", telegram()),
    "flat.json": ("telegram", telegram(indent=None)),
    "account.json": ("telegram", telegram_account()),
    "general.json": ("discord", discord()),
    "general.txt": ("discord", discord(indent=None)),
    "general.csv": ("discord", discord_table()),
    "direct-messages.js": ("direct_messages", x_messages()),
    "direct-message.js": ("direct_messages", x_messages(name="direct_message")),
}


def conversations(path: Path, *model: str) -> list[str]:
    (file,), _ = find_files([str(path)])
    rules = chat_rules([file], "utf-8", model, keep_names=True)
    return ["|".join(turns) for turns in rules.conversations(read_chats(file, "utf-8", lambda _: None))]


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_is_known_by_its_content_and_read_as_conversations(name: str, tmp_path: Path) -> None:
    kind, text = EXPORTS[name]
    path = written(tmp_path / name, text)
    assert [file.kind for file in find_files([str(tmp_path)])[0]] == [kind]
    is_x = kind == "direct_messages"
    assert conversations(path, "me" if is_x else "Bob") == AS_BOB
    assert conversations(path, "100" if is_x else "Anna Schmidt") == AS_ANNA


def test_an_export_may_be_compressed(tmp_path: Path) -> None:
    import gzip
    import zipfile

    (tmp_path / "result.json.gz").write_bytes(gzip.compress(telegram().encode()))
    assert conversations(tmp_path / "result.json.gz", "bob") == AS_BOB
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("data/direct-messages.js", x_messages())
        archive.writestr("data/like.js", "window.YTD.like.part0 = []")
        archive.writestr(
            "data/tweets.js", f"window.YTD.tweets.part0 = {json.dumps([{'tweet': one} for one in TWEETS])}"
        )
        archive.writestr("assets/a.png", b"\x89PNG")
    files, others = find_files([str(tmp_path / "archive.zip")])
    assert [file.kind for file in files] == ["direct_messages", "tweets"]
    assert len(others) == 2


@pytest.mark.parametrize("entries", [TWEETS, [{"tweet": one} for one in TWEETS]])
@pytest.mark.parametrize("name", ["tweets", "tweet"])
def test_a_tweet_is_a_text_and_a_thread_is_one(entries: list[object], name: str, tmp_path: Path) -> None:
    path = written(tmp_path / "tweets.js", f"window.YTD.{name}.part0 = {json.dumps(entries)}")
    assert read(path) == [*TWEET_TEXTS[:3], TWEET_TEXTS[3], ""]


@pytest.mark.parametrize(("name", "text"), [("messages.json", package()), ("messages.csv", package_table())])
def test_what_the_owner_of_a_package_wrote_is_texts(name: str, text: str, tmp_path: Path) -> None:
    path = written(tmp_path / name, text)
    assert read(path) == [
        "Hi Bob!\nHow are you?\nFine, Anna.\nGood.\nAnd you?", "Hello?\nSorry, I slept.\nOk.",
    ]  # fmt: skip


def test_discords_marks_for_people_and_pictures_are_no_text(tmp_path: Path) -> None:
    said = [("Bob", "Hi <@!123> in <#45>: <a:duck:67> <:x:8> <t:160:R> <3", 0.0), ("Bob", "<@1>", 100.0)]
    assert read(written(tmp_path / "messages.json", package(said))) == ["Hi  in : :duck: :x:  <3"]


def test_the_owner_of_an_archive_is_known_where_there_are_several_conversations(tmp_path: Path) -> None:
    one = json.loads(x_messages().partition("=")[2])[:1]
    path = written(tmp_path / "direct-messages.js", f"window.YTD.direct_messages.part0 = {json.dumps(one)}")
    with pytest.raises(SettingError, match=r"'100' .* '101'"):
        conversations(path)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("result.json", telegram()[:-40], "is cut off or damaged (Input data was truncated"),
        ("result.json", telegram().replace('"text": "', '"text": 5, "x": "', 1), "cannot be read at its message 1 ("),
        ("result.json", telegram().replace("2020-12-13T10:01:00", "yesterday"), "the date 'yesterday'"),
        ("result.json", telegram().replace("Hello?", "\\ud800"), "(JSON is malformed: unexpected end of hex escape"),
        ("a.json", discord().replace("2020-12-13T10:00", "then"), "has a message of the date 'then:00+00:00'"),
        ("a.csv", discord_table().replace("Date,Content", "Date,Content,Date"), "has 2 columns 'Date'"),
        ("messages.json", package().replace("2020", "MM"), "has a message of the date 'MM-12-13"),
        ("direct-messages.js", x_messages()[:-9], "is cut off or damaged ("),
        ("direct-messages.js", x_messages().replace("T10", "10T"), "has a message of the date"),
        ("tweets.js", 'window.YTD.tweets.part0 = [{"tweet": {"full_text": "x"}}]', "has a tweet of the date ''"),
        ("tweets.js", 'window.YTD.tweets.part0 = {"a": 1}', "is cut off or damaged ("),
    ],
)  # fmt: skip
def test_a_damaged_export_is_one_sentence(name: str, text: str, sentence: str, tmp_path: Path) -> None:
    path = written(tmp_path / name, text)
    with pytest.raises(DataError) as error:
        conversations(path, "Bob") if name not in ("tweets.js", "messages.json") else read(path)
    assert str(path) in str(error.value)
    assert sentence in str(error.value)


def test_telegrams_web_page_is_refused_with_what_to_do(tmp_path: Path) -> None:
    page = "<!DOCTYPE html>\n<html>\n <head>\n  <title>Exported Data</title>"
    written(tmp_path / "messages.html", page)
    for given in (tmp_path, tmp_path / "messages.html"):
        with pytest.raises(
            DataError, match=r"messages\.html is Telegram's export as HTML: export the chat again as JSON"
        ):
            find_files([str(given)])


PEOPLE = Counter({"Anna Schmidt": 9, "Bob": 8, "Bobby Tables": 7, "Łukasz": 1})


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (["Bob"], {"Bob"}), (["anna"], {"Anna Schmidt"}), (["bobby"], {"Bobby Tables"}), (["ŁUKASZ "], {"Łukasz"}),
        (["Bob", "Bobby Tables"], {"Bob", "Bobby Tables"}),
    ],
)  # fmt: skip
def test_a_person_is_named_in_full_or_in_part(given: list[str], names: set[str]) -> None:
    assert choose_people(PEOPLE, given) == names


@pytest.mark.parametrize(
    ("people", "given", "sentence"),
    [
        (PEOPLE, ["Ana Schmid"], "--model-is Ana Schmid is nobody in these chats: did you mean 'Anna Schmidt'?"),
        (PEOPLE, [""], "--model-is  is nobody in these chats: did you mean 'Anna Schmidt' or 'Bob' or 'Bobby Tables'?"),
        (PEOPLE, ["b"], "--model-is b may be 'Bob' or 'Bobby Tables': give the name in full."),
        (PEOPLE, [], "like, with --model-is NAME: 'Anna Schmidt' (9 messages), 'Bob' (8 messages)"),
        (Counter({f"p{n:02d}": 1 for n in range(30)}), [], "'p19' (1 messages) and 10 more."),
        (PEOPLE, [*PEOPLE], "--model-is names everybody in these chats"),
        (Counter({"Bob": 8}), ["Bob"], "all messages are by Bob, and a conversation needs two people"),
    ],
)  # fmt: skip
def test_a_person_who_cannot_be_meant_is_one_sentence(people: Counter[str], given: list[str], sentence: str) -> None:
    with pytest.raises(SettingError) as error:
        choose_people(people, given)
    assert sentence in str(error.value)


@pytest.mark.parametrize("part", ["messages", "text"])
def test_what_is_nested_by_the_thousand_is_one_sentence(part: str, tmp_path: Path) -> None:
    """It was a traceback of RecursionError."""
    deep, message = "[" * 99_999 + "]" * 99_999, '{"type": "message", "from": "Bob", "text": %s}'
    messages = deep if part == "messages" else f"[{message % deep}]"
    text = f'{{"name": "x", "type": "private_group", "id": 1, "messages": {messages}}}'
    with pytest.raises(DataError, match="maximum recursion depth exceeded"):
        conversations(written(tmp_path / "a.json", text), "Bob")


def test_long_conversations_begin_anew_with_a_question(tmp_path: Path) -> None:
    said = [("Anna" if number % 3 else "Bob", f"{number} {'word ' * 40}".strip(), number / 10) for number in range(120)]
    found = [turns.split("|") for turns in conversations(written(tmp_path / "a.txt", whatsapp(said)), "Bob")]
    assert len(found) > 5
    assert all(len(turns) % 2 == 0 and sum(map(len, turns)) < 4500 for turns in found)


def test_conversations_without_an_answer_are_counted(tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt", whatsapp([*SAID, ("Anna Schmidt", "Anybody?", 5000), ("Bob", "Late.", 9000)]))
    (file,), _ = find_files([str(path)])
    rules = ChatRules(frozenset(["Bob"]))
    assert len(list(rules.conversations(read_chats(file, "utf-8", lambda _: None)))) == 2
    assert rules.counts == {"unanswered": 2}


def test_messages_are_read_where_they_are_not_one_by_one_in_memory(tmp_path: Path) -> None:
    """The list is of bytes in the file, and each message is decoded when it comes."""
    messages = [*telegram_messages(), {"id": 99, "type": 5}]
    path = written(
        tmp_path / "a.json", json.dumps({"name": "x", "type": "private_group", "id": 1, "messages": messages})
    )
    (file,), _ = find_files([str(path)])
    (chat,) = read_chats(file, "utf-8", lambda _: None)
    assert [next(chat).text for _ in SAID] == [text for _, text, _ in SAID]
    with pytest.raises(DataError, match=r"message 13 \(Expected `str`, got `int` - at `\$\.type`\)"):
        next(chat)
