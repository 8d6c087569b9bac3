"""The penalties of llama.cpp, which Ollama has as well: they look at the last tokens alone."""

from __future__ import annotations

from app.api.llama_cpp_requests import LlamaCppRequest
from app.api.ollama_requests import OllamaOptions

# At how many tokens they look.
DEFAULT_LAST_N = 64


def last_n_penalties(asked: OllamaOptions | LlamaCppRequest, n_ctx: int) -> tuple[dict[str, float | None], int | None]:
    """The penalties and the number of the last tokens at which they look, None if the request leaves them to the model."""
    penalties = {
        "repetition_penalty": asked.repeat_penalty,
        "presence_penalty": asked.presence_penalty,
        "frequency_penalty": asked.frequency_penalty,
    }
    if asked.repeat_last_n == 0:
        return {"repetition_penalty": 1, "presence_penalty": 0, "frequency_penalty": 0}, None
    if asked.repeat_last_n is None and all(value is None for value in penalties.values()):
        return penalties, None
    last = DEFAULT_LAST_N if asked.repeat_last_n is None else asked.repeat_last_n
    return penalties, n_ctx if last == -1 else min(last, n_ctx)
