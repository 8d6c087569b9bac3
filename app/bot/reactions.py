"""Reactions to the bot's texts, which count as votes where Telegram tells the bot of them: 👍 and its like, 👎 and its like."""

from __future__ import annotations

import logging

from telegram import MessageReactionUpdated, ReactionTypeEmoji

from app.bot.chat_state import ChatStates
from app.bot.keyboard import text_buttons
from app.bot.outbox import MessagePlace, Outbox
from app.bot.vote_buttons import VoteButtons
from app.errors import StoreError, UnknownText

log = logging.getLogger(__name__)
UP = frozenset("👍❤🔥🥰👏😁🤩🎉💯🤣🏆⚡😍😂🙏👌🤗🆒💘😘🦄")
DOWN = frozenset("👎🤮💩🤬😡🥱🖕😭💔🤨😐")


class Reactions:
    """Counts reactions through `votes`. The texts are found in the state of their chat, which knows the newest ones.

    `aloud`: texts can be heard, too.
    """

    def __init__(self, chats: ChatStates, votes: VoteButtons, *, aloud: bool) -> None:
        self._aloud = aloud
        self._chats = chats
        self._votes = votes

    async def count(self, reaction: MessageReactionUpdated, voter: int, outbox: Outbox) -> None:
        """Store the vote, if the reaction is one. Taking a reaction back does not take the vote back, as with the buttons."""
        action = vote_of(reaction)
        if action is None:
            return
        try:
            answer = (await self._chats.get(reaction.chat.id)).answer_in(reaction.message_id)
            if answer is None:
                return
            await self._votes.vote(voter, answer.text, action)
        except UnknownText:
            return
        except StoreError:
            # There is nobody to tell: a message about a reaction would be odd.
            log.warning("a reaction could not be stored as a vote")
            return
        place = MessagePlace(reaction.chat.id, reaction.message_id)
        await self._votes.show(
            place, text_buttons(answer.text, answer.another, aloud=self._aloud), answer.text, action, outbox
        )


def vote_of(reaction: MessageReactionUpdated) -> str | None:
    """The vote "up" or "down", or None if the reaction says neither, or both."""
    # Some emoji come with a sign that only says how they are drawn.
    emoji = {each.emoji.strip("\ufe0f") for each in reaction.new_reaction if isinstance(each, ReactionTypeEmoji)}
    up, down = emoji & UP, emoji & DOWN
    return None if bool(up) == bool(down) else "up" if up else "down"
