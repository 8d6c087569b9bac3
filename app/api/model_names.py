"""Model names: which served model a request means, as each protocol names models."""

from __future__ import annotations

from app.engine.base import Engine
from app.models import Models

# What huggingface_hub and the examples for TGI call the model of a server that they know by its address alone.
PLACEHOLDERS = ("tgi", "dummy")
LATEST = ":latest"


def openai_model(models: Models, name: str | None) -> Engine:
    """The model of this name; the default model without a name, or with one that stands for any. Raises UnknownModel."""
    placeholder = name in PLACEHOLDERS and name not in models.names
    return models.get(None if placeholder else name)


def ollama_model(models: Models, name: str) -> Engine:
    """The model of this name, to which Ollama's clients add a tag. Raises UnknownModel."""
    return models.get(name if name in models.names else name.removesuffix(LATEST))


def tagged(engine: Engine) -> str:
    """The model's name as Ollama lists it: with a tag."""
    return engine.name if ":" in engine.name else f"{engine.name}{LATEST}"
