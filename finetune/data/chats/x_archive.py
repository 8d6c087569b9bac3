"""X's (Twitter's) archive: tweets.js, of which each tweet is a text, and direct-messages.js, which holds conversations.

Retweets are left out. An answer to one's own tweet continues it. The names at the beginning of a reply are removed, and so are
the links to pictures at the end. Messages have the numbers of people and not their names; the owner of the archive takes part in
every conversation, and is called ME.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from datetime import datetime

import msgspec

from app.errors import DataError
from finetune.data.chats.json_export import each, read_json
from finetune.data.chats.sent_message import Chat, SentMessage, moment, oldest_first
from finetune.data.input_files import InputFile

ME = "me"
RETWEET = re.compile(r"RT @\w+:")
NAMES_BEFORE = re.compile(r"(?:@\w{1,30}(?:\s+|$))*")
LINK_TO_PICTURE = re.compile(r"https://t\.co/\w+")


class Tweet(msgspec.Struct):
    id_str: str = ""
    full_text: str = ""
    text: str = ""
    created_at: str = ""
    in_reply_to_status_id_str: str | None = None


class TweetEntry(Tweet):
    """Archives before 2020 had the tweets themselves in the list."""

    tweet: Tweet | None = None


class DirectMessage(msgspec.Struct, rename="camel"):
    sender_id: str
    text: str = ""
    created_at: str = ""


class DirectMessageEntry(msgspec.Struct, rename="camel"):
    """What is no message, such as that somebody joined, has another key."""

    message_create: DirectMessage | None = None


class DirectConversation(msgspec.Struct, frozen=True, rename="camel"):
    conversation_id: str = ""
    messages: list[msgspec.Raw] = []


class ConversationEntry(msgspec.Struct, rename="camel"):
    dm_conversation: DirectConversation = DirectConversation()


def read_tweets(file: InputFile, progress: Callable[[int], object]) -> Iterator[str]:
    """The tweets, oldest first, those of a thread as one text. Raises DataError."""
    entries = each(file, read_json(file, list[msgspec.Raw], progress), TweetEntry)
    tweets = [entry.tweet or entry for entry in entries]
    own = {tweet.id_str for tweet in tweets}
    threads: dict[str, list[str]] = {}
    beginning: dict[str, str] = {}
    for tweet in sorted(tweets, key=lambda tweet: moment_of_tweet(file, tweet)):
        before = tweet.in_reply_to_status_id_str
        first = beginning[tweet.id_str] = beginning.get(before, before) if before in own and before else tweet.id_str
        if not RETWEET.match(tweet.full_text or tweet.text):
            threads.setdefault(first, []).append(tweet_text(tweet))
    for texts in threads.values():
        yield "\n\n".join(filter(None, texts))


def tweet_text(tweet: Tweet) -> str:
    text = html.unescape(tweet.full_text or tweet.text)
    if tweet.in_reply_to_status_id_str and (names := NAMES_BEFORE.match(text)):
        text = text[names.end() :]
    return without_links_behind(text)


def without_links_behind(text: str) -> str:
    words = reversed(list(re.finditer(r"\S+", text)))
    last = next((word for word in words if not LINK_TO_PICTURE.fullmatch(word[0])), None)
    return text[: last.end()].strip() if last else ""


def moment_of_tweet(file: InputFile, tweet: Tweet) -> float:
    try:
        return datetime.strptime(tweet.created_at, "%a %b %d %H:%M:%S %z %Y").timestamp()
    except ValueError:
        raise DataError(f"{file} has a tweet of the date {tweet.created_at!r}: it is no archive of X.") from None


def read_direct_messages(file: InputFile, progress: Callable[[int], object]) -> Iterator[Chat]:
    """The conversations. Raises DataError."""
    entries = read_json(file, list[ConversationEntry], progress)
    conversations = [entry.dm_conversation for entry in entries]
    in_all = (
        set[str].intersection(*(set(each_.conversation_id.split("-")) for each_ in conversations))
        if conversations
        else set()
    )
    owner = in_all.pop() if len(in_all) == 1 else ""
    for conversation in conversations:
        yield oldest_first(messages_of_conversation(file, conversation, owner))


def messages_of_conversation(file: InputFile, conversation: DirectConversation, owner: str) -> Chat:
    for entry in each(file, conversation.messages, DirectMessageEntry):
        message = entry.message_create
        if message is not None and (text := html.unescape(without_links_behind(message.text)).strip()):
            author = ME if message.sender_id == owner else message.sender_id
            yield SentMessage(author, text, moment(str(file), message.created_at))
