"""Texts that were offered in inline mode, until somebody sends them: only those that are sent are stored."""

from __future__ import annotations

from app.feedback.store import ShownText, Store

# Most are never sent. A text that is forgotten before it is sent or voted on cannot be voted on any more.
REMEMBERED = 1000


class OfferedTexts:
    """The latest, in memory."""

    def __init__(self, store: Store | None) -> None:
        self._store = store
        self._texts: dict[str, ShownText] = {}

    def add(self, text: ShownText) -> None:
        self._texts[text.id] = text
        if len(self._texts) > REMEMBERED:
            del self._texts[next(iter(self._texts))]

    async def keep(self, text_id: str) -> None:
        """Store the text, if it is one of these. Raises StoreError."""
        text = self._texts.get(text_id)
        if text is not None and self._store is not None:
            await self._store.add_text(text)
            self._texts.pop(text_id, None)
