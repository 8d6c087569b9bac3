"""What JSON schemas made from types lack: rules between fields, and this service's own limit. For app.api.openapi."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
# The fields that MAX_LENGTH bounds, of the types whose names end like this.
LENGTHS = (
    "length", "max_tokens", "max_completion_tokens", "max_new_tokens", "max_output_tokens", "n_predict", "num_predict",
    "min_tokens",
)  # fmt: skip
BOUNDED = ("Request", "Options", "Parameters")
# One of two fields is there, and the other is not, or it is one of these values.
ONE_OF_TWO: dict[str, tuple[tuple[str, str], list[str | None]]] = {
    "TokenizeRequest": (("prompt", "messages"), [None]),
    "OllamaShowRequest": (("model", "name"), [None, ""]),
}
TEXT: Schema = {"type": "string"}
TOKEN: Schema = {"type": "integer", "minimum": 0, "exclusiveMaximum": 2**31}
# Web forms send text, and some programs numbers.
SPELT_BOOLEANS: Schema = {"enum": [0, 1, "0", "1", "false", "true"]}


def add_rules(components: Schema, max_length: int) -> None:
    """Add what the types cannot say to the schemas of `components`, by the types' names."""
    for name, schema in components.items():
        if name.endswith(BOUNDED):
            for field in LENGTHS:
                bound(schema["properties"].get(field, {}), max_length)
    for name, (fields, none) in ONE_OF_TWO.items():
        components[name]["oneOf"] = [given(field, none) for field in fields]
    # Only an assistant's turn may come without content.
    components["ChatMessage"]["anyOf"] = [given("content", [None]), {"properties": {"role": {"const": "assistant"}}}]
    # A list is one prompt, or a list of prompts: a token beside a list is neither.
    mixed = {"anyOf": [TEXT, TOKEN]}
    components["LlamaCppRequest"]["properties"]["prompt"]["anyOf"] = [
        TEXT, listed(mixed), listed({"anyOf": [TEXT, listed(mixed)]}),
    ]  # fmt: skip
    components["CompletionRequest"]["properties"]["prompt"]["anyOf"] = [
        TEXT, listed(TEXT), listed(TOKEN), listed(listed(TOKEN)), {"type": "null"},
    ]  # fmt: skip
    for name in ("CompletionRequest", "ChatRequest"):
        components[name]["properties"]["truncate_prompt_tokens"]["not"] = {"const": 0}
    # Nothing is stored that these could name.
    for field in ("conversation", "previous_response_id"):
        components["ResponsesRequest"]["properties"][field] = {"type": "null"}
    for field in components["GenerateRequest"]["properties"].values():
        if {"type": "boolean"} in field.get("anyOf", ()):
            field["anyOf"].append(SPELT_BOOLEANS)
    # With response_fields, a reply has only those.
    del components["LlamaCppCompletion"]["required"]


def bound(field: Schema, most: int) -> None:
    """Let an integer be `most` at most."""
    for choice in (field, *field.get("anyOf", ())):
        if choice.get("type") == "integer":
            choice.pop("exclusiveMaximum", None)
            choice["maximum"] = most


def given(field: str, none: list[str | None]) -> Schema:
    """The field is there, and its value is not one of those that count as left out."""
    return {"required": [field], "properties": {field: {"not": {"enum": none}}}}


def listed(items: Schema) -> Schema:
    """A list with at least one item."""
    return {"type": "array", "minItems": 1, "items": items}
