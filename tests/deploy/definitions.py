"""Google's own definitions of its interfaces: the discovery documents in google-api-python-client, as JSON Schema."""

from __future__ import annotations

import importlib.resources
import json
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from tests.conftest import ROOT

# File → the document that defines it, and the schema in it.
DEFINITIONS = {
    "service.yaml": ("run.v1", "Service"),
    "training-job.yaml": ("run.v1", "Job"),
    "cloudbuild.yaml": ("cloudbuild.v1", "Build"),
}
FORMATS: dict[str, dict[str, Any]] = {
    "int32": {"minimum": -(2**31), "maximum": 2**31 - 1},
    "uint32": {"minimum": 0, "maximum": 2**32 - 1},
    # Google writes these as strings, because JSON numbers lose digits. It accepts numbers as well.
    "int64": {"type": ["string", "integer"], "pattern": r"^-?\d+$"},
    "uint64": {"type": ["string", "integer"], "pattern": r"^\d+$"},
    "google-duration": {"pattern": r"^\d+(\.\d{1,9})?s$"},
}


def load(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def json_schema(described: dict[str, Any]) -> dict[str, Any]:
    """A discovery document's schema as JSON Schema. It forbids unknown fields, and those that only Google sets."""
    if described.get("readOnly"):
        return {"not": {}}
    if "$ref" in described:
        return {"$ref": f"#/$defs/{described['$ref']}"}
    schema = {} if described["type"] == "any" else {"type": described["type"]}
    schema |= FORMATS.get(described.get("format", ""), {})
    if "enum" in described:
        schema["enum"] = described["enum"]
    if "items" in described:
        schema["items"] = json_schema(described["items"])
    if "properties" in described:
        schema["properties"] = {name: json_schema(field) for name, field in described["properties"].items()}
    if described["type"] == "object":
        more = described.get("additionalProperties")
        schema["additionalProperties"] = json_schema(more) if more else False
    return schema


def validator(document: str, name: str) -> Draft202012Validator:
    path = importlib.resources.files("googleapiclient") / f"discovery_cache/documents/{document}.json"
    schemas = json.loads(path.read_text(encoding="utf-8"))["schemas"]
    defined = {key: json_schema(schema) for key, schema in schemas.items()}
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": defined})
