"""Reading chats: the people in them, and their messages as conversations to learn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from finetune.data.chats.conversations import conversations
from finetune.data.chats.discord_export import read_discord, read_discord_table
from finetune.data.chats.people import choose_people
from finetune.data.chats.personal_data import PersonalData
from finetune.data.chats.sent_message import Chat
from finetune.data.chats.telegram_export import read_telegram
from finetune.data.chats.whatsapp_export import date_order, read_whatsapp
from finetune.data.chats.x_archive import read_direct_messages
from finetune.data.file_kinds import CHATS, suffix_of
from finetune.data.input_files import InputFile
from finetune.data.text_encoding import decode, lines_of
from finetune.progress_bar import progress_bar


@dataclass(frozen=True)
class ChatRules:
    """How chats become conversations: whose messages are the model's, and what is replaced, if anything.

    `counts` learns what was left out.
    """

    model: frozenset[str] = frozenset()
    personal: PersonalData | None = None
    counts: Counter[str] = field(default_factory=Counter)

    def text(self, text: str) -> str:
        return self.personal.replaced(text) if self.personal else text

    def conversations(self, chats: Iterable[Chat]) -> Iterator[list[str]]:
        """The turns of each conversation, that of a person first."""
        for chat in chats:
            for turns in conversations(chat, self.model, self.counts):
                yield [self.text(turn) for turn in turns]


def chat_rules(files: Sequence[InputFile], encoding: str, model_is: Sequence[str], keep_names: bool) -> ChatRules:
    """Read whose messages the chats hold, and ask whose are the model's if nobody is given. Raises SettingError or DataError."""
    messages: Counter[str] = Counter()
    chat_files = [file for file in files if file.kind in CHATS]
    size = sum(path.stat().st_size for path in {file.path for file in chat_files})
    with progress_bar("find people", size, unit="B", quiet=not chat_files) as progress:
        for file in chat_files:
            for chat in read_chats(file, encoding, progress.update):
                messages.update(message.author for message in chat)
    people = [name for name, _ in messages.most_common()]
    model = choose_people(messages, model_is) if people else frozenset[str]()
    return ChatRules(model, None if keep_names else PersonalData(people))


def read_chats(file: InputFile, encoding: str, progress: Callable[[int], object]) -> Iterator[Chat]:
    """The chats of a file. Raises DataError."""

    def lines(told: Callable[[int], object] = lambda _: None) -> Iterator[str]:
        return lines_of(str(file), decode(str(file), file.chunks(told), encoding))

    match file.kind:
        case "whatsapp":
            yield read_whatsapp(date_order(lines()), lines(progress))
        case "telegram":
            yield from read_telegram(file, progress)
        case "discord" if suffix_of(file.name) == ".csv":
            yield read_discord_table(file, lines(progress), owner="")
        case "discord":
            yield read_discord(file, progress)
        case _:
            yield from read_direct_messages(file, progress)
