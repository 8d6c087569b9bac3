"""Exports of chats as the apps write them, by hand: each message is (author, text, minute)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

Said = tuple[str, str, float]
START = datetime(2020, 12, 13, 10, tzinfo=UTC)
SAID: list[Said] = [
    ("Anna Schmidt", "Hi Bob!", 0), ("Anna Schmidt", "How are you?", 1), ("Bob", "Fine, Anna.", 2), ("Anna Schmidt", "Good.", 3),
    ("Bob", "And you?", 4), ("Bob", "Hello?", 600), ("Anna Schmidt", "Sorry, I slept.", 601), ("Bob", "Ok.", 602),
]  # fmt: skip
# With Bob as the model: a pause of hours begins another conversation, which begins with a person and ends with Bob.
AS_BOB = ["Hi Bob!\nHow are you?|Fine, Anna.|Good.|And you?", "Sorry, I slept.|Ok."]
AS_ANNA = ["Fine, Anna.|Good.", "Hello?|Sorry, I slept."]


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def whatsapp(said: Sequence[Said] = SAID) -> str:
    return "".join(f"[{at(minute):%d/%m/%Y, %H:%M:%S}] {author}: {text}\n" for author, text, minute in said)


def telegram_messages(said: Sequence[Said] = SAID) -> list[dict[str, Any]]:
    """With what Telegram puts between them: service messages, forwarded ones, stickers."""
    found: list[dict[str, Any]] = [
        {"id": 1, "type": "service", "date": "2020-12-13T09:00:00", "actor": "Anna Schmidt", "action": "create_group",
         "text": ""},
        {"id": 2, "type": "message", "date": "2020-12-13T09:59:00", "from": "Bob", "from_id": "user2", "text": "Not mine.",
         "forwarded_from": None},
        {"id": 3, "type": "message", "date": "2020-12-13T09:59:00", "from": "Bob", "from_id": "user2", "text": "",
         "media_type": "sticker", "sticker_emoji": "🦆"},
        {"id": 4, "type": "message", "date": "2020-12-13T09:59:00", "from": "Bob", "from_id": "user2", "text": "A gif",
         "via_bot": "@gif"},
    ]  # fmt: skip
    for number, (author, text, minute) in enumerate(said, start=5):
        first, space, rest = text.partition(" ")
        entities = [{"type": "bold", "text": first}, space + rest]
        found.append({
            "id": number, "type": "message", "date": f"{at(minute):%Y-%m-%dT%H:%M:%S}", "from": author, "from_id": "user1",
            "text": entities if number % 2 else text, "reply_to_message_id": 1,
        } | ({"date_unixtime": str(int(at(minute).timestamp()))} if number % 3 else {}))  # fmt: skip
    return found


def telegram(said: Sequence[Said] = SAID, indent: int | None = 1) -> str:
    chat = {"name": "Anna Schmidt", "type": "personal_chat", "id": 1, "messages": telegram_messages(said)}
    return json.dumps(chat, indent=indent, ensure_ascii=False)


def telegram_account(said: Sequence[Said] = SAID) -> str:
    chats: list[dict[str, Any]] = [
        {"name": "Anna Schmidt", "type": "personal_chat", "id": 1, "messages": telegram_messages(said)},
        {"type": "saved_messages", "id": 2, "messages": telegram_messages([("Bob", "A note.", 0)])},
        {"type": "personal_chat", "id": 3},
    ]
    account = {
        "about": "Here is the data you requested. Remember: Telegram is free.", "personal_information": {"first_name": "Bob"},
        "contacts": {"about": "", "list": [{"first_name": "Anna"}] * 500}, "chats": {"about": "", "list": chats},
        "left_chats": {"about": "", "list": chats[2:]},
    }  # fmt: skip
    return json.dumps(account, indent=1, ensure_ascii=False)


def discord(said: Sequence[Said] = SAID, indent: int | None = 2) -> str:
    """DiscordChatExporter's JSON."""
    messages: list[dict[str, Any]] = [
        {
            "id": str(number), "type": "Reply" if number % 2 else "Default", "timestamp": at(minute).isoformat(), "content": text,
            "author": {"id": author, "name": author.lower(), "nickname": author, "isBot": False}, "attachments": [],
        }
        for number, (author, text, minute) in enumerate(said)
    ]  # fmt: skip
    joined = {
        "id": "x",
        "type": "GuildMemberJoin",
        "timestamp": START.isoformat(),
        "content": "Joined.",
        "author": {"name": "bob"},
    }
    picture = messages[0] | {"id": "y", "content": ""}
    channel = {
        "guild": {"id": "0", "name": "Ducks"}, "channel": {"id": "1", "name": "general"}, "dateRange": {"after": None},
        "messages": [joined, picture, *messages], "messageCount": len(messages),
    }  # fmt: skip
    return json.dumps(channel, indent=indent, ensure_ascii=False)


def discord_table(said: Sequence[Said] = SAID) -> str:
    """DiscordChatExporter's CSV."""
    rows = [
        [author, author, at(minute).isoformat(timespec="milliseconds"), text, "", ""] for author, text, minute in said
    ]
    return table(["AuthorID", "Author", "Date", "Content", "Attachments", "Reactions"], rows)


def package(said: Sequence[Said] = SAID) -> str:
    """A channel of Discord's own data package, the newest message first."""
    messages = [
        {"ID": number, "Timestamp": f"{at(minute):%Y-%m-%d %H:%M:%S}", "Contents": text, "Attachments": ""}
        for number, (_, text, minute) in enumerate(said)
    ]
    return json.dumps(messages[::-1], ensure_ascii=False)


def package_table(said: Sequence[Said] = SAID) -> str:
    """The same as older packages have it."""
    rows = [
        [number, f"{at(minute):%Y-%m-%d %H:%M:%S.%f+00:00}", text, ""] for number, (_, text, minute) in enumerate(said)
    ]
    return table(["ID", "Timestamp", "Contents", "Attachments"], rows[::-1])


def table(header: list[str], rows: list[list[Any]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(header)
    writer.writerows(rows)
    return file.getvalue()


def x_messages(said: Sequence[Said] = SAID, owner: str = "Bob", name: str = "direct_messages") -> str:
    """An archive of X's messages: two conversations, the newest message first, with numbers instead of names."""
    numbers = {author: str(100 + number) for number, author in enumerate(sorted({author for author, _, _ in said}))}
    entries: list[dict[str, Any]] = [
        {"messageCreate": {
            "id": "1", "senderId": numbers[author], "recipientId": "x", "text": text.replace("&", "&amp;"), "reactions": [],
            "urls": [], "mediaUrls": [], "createdAt": f"{at(minute):%Y-%m-%dT%H:%M:%S}.123Z",
        }}
        for author, text, minute in said
    ]  # fmt: skip
    entries.append({"joinConversation": {"initiatingUserId": "1"}})
    others = [number for author, number in numbers.items() if author != owner]
    conversations = [
        {"dmConversation": {"conversationId": f"{others[0]}-{numbers[owner]}", "messages": entries[::-1]}},
        {"dmConversation": {"conversationId": f"{numbers[owner]}-999", "messages": []}},
    ]
    return f"window.YTD.{name}.part0 = {json.dumps(conversations, indent=1)}"


def tweet(number: int, text: str, before: int | None = None) -> dict[str, Any]:
    moment = at(number)
    return {
        "id_str": str(number), "full_text": text, "created_at": f"{moment:%a %b %d %H:%M:%S +0000 %Y}", "retweeted": False,
    } | ({"in_reply_to_status_id_str": str(before)} if before is not None else {})  # fmt: skip


TWEETS = [
    tweet(3, "A &lt;duck&gt; &amp; a road https://t.co/abc123"),
    tweet(1, "A thread."),
    tweet(2, "@me It goes on.", before=1),
    tweet(4, "@anna @bob Yes, https://x.org/a is it.", before=77),
    tweet(5, "RT @anna: Not mine."),
    tweet(6, "Ask @anna about it."),
    tweet(7, "@anna", before=77),
]
TWEET_TEXTS = [
    "A thread.\n\nIt goes on.", "A <duck> & a road", "Yes, https://x.org/a is it.", "Ask @anna about it.",
]  # fmt: skip
