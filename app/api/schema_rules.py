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
# One of two fields is there, and the other is not.
ONE_OF_TWO = {"TokenizeRequest": ("prompt", "messages"), "OllamaShowRequest": ("model", "name")}


def add_rules(components: Schema, max_length: int) -> None:
    """Add what the types cannot say to the schemas of `components`, by the types' names."""
    for name, schema in components.items():
        if name.endswith(BOUNDED):
            for field in LENGTHS:
                bound(schema["properties"].get(field, {}), max_length)
    for name, fields in ONE_OF_TWO.items():
        components[name]["oneOf"] = [given(field) for field in fields]
    # Only an assistant's turn may come without content.
    components["ChatMessage"]["anyOf"] = [given("content"), {"properties": {"role": {"const": "assistant"}}}]
    components["LlamaCppRequest"]["properties"]["prompt"]["anyOf"] = mixed_prompts()
    # With response_fields, a reply has only those.
    del components["LlamaCppCompletion"]["required"]


def bound(field: Schema, most: int) -> None:
    """Let an integer be `most` at most."""
    for choice in (field, *field.get("anyOf", ())):
        if choice.get("type") == "integer":
            choice.pop("exclusiveMaximum", None)
            choice["maximum"] = most


def given(field: str) -> Schema:
    """The field is there. One that is null or an empty text counts as left out."""
    return {"required": [field], "properties": {field: {"not": {"enum": [None, ""]}}}}


def mixed_prompts() -> list[Schema]:
    """A text; texts and tokens, which are one prompt; or a list of such prompts, in which no token stands alone."""
    text = {"type": "string"}
    one = {"type": "array", "minItems": 1, "items": {"anyOf": [text, {"type": "integer", "minimum": 0}]}}
    return [text, one, {"type": "array", "minItems": 1, "items": {"anyOf": [text, one]}}]
