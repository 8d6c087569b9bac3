"""A JSON response whose content msgspec encodes: typed replies, dictionaries, lists."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import JSONResponse


class MsgspecResponse(JSONResponse):
    def render(self, content: Any) -> bytes:
        return msgspec.json.encode(content)
