"""Schemathesis's checks, for this API: what a description cannot say is told apart from what it should have said.

SCHEMATHESIS_HOOKS names this module, and schemathesis imports it.
"""

from __future__ import annotations

import re
from typing import Any

import schemathesis

# Refusals of requests that fit the description: what depends on another field, on the model, or on who signed something. JSON
# Schema has no words for these, or so many that nobody would read them.
BEYOND_A_SCHEMA = re.compile(
    r"half a character|nested too deeply|is too large a number|tokens long and the model's window|fit in memory at once|"
    r"model's tokens are|has a token that the model lacks|its tokens are|the model's vocabulary|"
    r" needs |cannot be |is only for streams|X-Telegram-Init-Data|the last of (messages|input) is|give one of them|give only one|"
    r"at most \d+ texts|"
    r"expected at most (max|length|n_predict)|rules out every token|log probabilities|must be at least"
)


@schemathesis.check
def only_what_no_schema_can_say_is_refused(ctx: Any, response: Any, case: Any) -> None:
    """The library's own check, positive_data_acceptance, knows the status only."""
    made_to_fit = case.meta is not None and case.meta.generation.mode.value == "positive"
    if made_to_fit and response.status_code in (400, 422) and not BEYOND_A_SCHEMA.search(response.text):
        raise AssertionError(f"refused, though the description allows it: {response.text}")


@schemathesis.check
def each_answer_may_be_read_by_other_pages_and_has_an_id(ctx: Any, response: Any, case: Any) -> None:
    headers = {name.lower(): values[0] for name, values in response.headers.items()}
    assert headers.get("access-control-allow-origin") == "*", headers
    assert headers.get("x-request-id"), headers
    assert headers.get("x-content-type-options") == "nosniff", headers
