"""Types of fields that several requests have in common.

The ranges of sampling options are in app.engine.sampling.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

TokenCount = Annotated[int, Meta(ge=0, lt=2**31)]
TokenId = Annotated[int, Meta(ge=0, lt=2**31)]
LogitBias = Annotated[float, Meta(ge=-100, le=100)]
StopString = Annotated[str, Meta(min_length=1, max_length=1000)]
StopStrings = StopString | Annotated[list[StopString], Meta(max_length=4)] | None
