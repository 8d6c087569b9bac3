"""`/api/tags`, `/api/show`, `/api/ps` and `/api/version`: the served models, as Ollama's clients ask for them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import msgspec
from starlette.requests import Request
from starlette.responses import Response

import app
from app.api.model_list import STARTED
from app.api.model_names import ollama_model, tagged
from app.api.msgspec_response import MsgspecResponse
from app.api.ollama_requests import OllamaShowRequest
from app.api.state import State
from app.api.validation import read_fields
from app.engine.base import Engine
from app.engine.bundle import Hparams, Manifest
from app.engine.templates import layout_of

STARTED_AT = datetime.fromtimestamp(STARTED, UTC)
# Models stay loaded until others need the memory.
NEVER = datetime(9999, 12, 31, tzinfo=UTC)
# The model's own defaults under the names of Ollama's options, and what it calls a number of bits.
OPTION_NAMES = {"length": "num_predict", "repetition_penalty": "repeat_penalty"}
LEVELS = {4: "Q4_0", 8: "Q8_0", 32: "F32"}


class OllamaModelDetails(msgspec.Struct, frozen=True):
    """What the model is. Only of a bundle the number of its parameters and its bits are known."""

    parameter_size: str
    quantization_level: str
    parent_model: str = ""
    format: str = "onnx"
    family: str = "gpt2"
    families: tuple[str, ...] = ("gpt2",)


class OllamaModel(msgspec.Struct, frozen=True, kw_only=True):
    """A served model. `modified_at` is when this server started, `size` the bytes of its weights."""

    name: str
    model: str
    modified_at: datetime
    size: int
    digest: str
    details: OllamaModelDetails


class OllamaTags(msgspec.Struct, frozen=True):
    models: list[OllamaModel]


class OllamaLoadedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model in memory. It stays there until others need the room."""

    name: str
    model: str
    size: int
    digest: str
    details: OllamaModelDetails
    expires_at: datetime
    size_vram: int = 0
    context_length: int


class OllamaProcesses(msgspec.Struct, frozen=True):
    models: list[OllamaLoadedModel]


class OllamaShown(msgspec.Struct, frozen=True, kw_only=True):
    """The reply of `/api/show`. `parameters` are the model's own defaults, a line each."""

    modelfile: str
    parameters: str
    template: str
    details: OllamaModelDetails
    model_info: dict[str, str | int]
    capabilities: tuple[str, ...] = ("completion",)
    modified_at: datetime


class OllamaVersion(msgspec.Struct, frozen=True):
    """The version of this project, not Ollama's."""

    version: str


async def tags(request: Request[State]) -> Response:
    models = request.state["models"]
    return MsgspecResponse(OllamaTags([listed(models.get(name)) for name in models.names]))


async def processes(request: Request[State]) -> Response:
    models = request.state["models"]
    return MsgspecResponse(OllamaProcesses([loaded(models.get(name)) for name in models.memory.loaded]))


async def ollama_version(request: Request[State]) -> Response:
    return MsgspecResponse(OllamaVersion(app.__version__))


async def show(request: Request[State]) -> Response:
    fields = await read_fields(request, OllamaShowRequest, '{"model": "starter"}')
    return MsgspecResponse(shown(ollama_model(request.state["models"], fields.named)))


def listed(engine: Engine) -> OllamaModel:
    return OllamaModel(
        name=tagged(engine),
        model=tagged(engine),
        modified_at=STARTED_AT,
        size=engine.weight_bytes,
        digest=digest(engine),
        details=details(engine),
    )


def loaded(engine: Engine) -> OllamaLoadedModel:
    return OllamaLoadedModel(
        name=tagged(engine),
        model=tagged(engine),
        size=engine.weight_bytes,
        digest=digest(engine),
        details=details(engine),
        expires_at=NEVER,
        context_length=engine.n_ctx,
    )


def shown(engine: Engine) -> OllamaShown:
    parameters = "\n".join(
        f"{OPTION_NAMES.get(name, name)} {value}"
        for name, value in msgspec.structs.asdict(engine.profile.sampling).items()
        if value is not None
    )
    template = ollama_template(engine)
    lines = [
        f"FROM {engine.name}",
        f'TEMPLATE """{template}"""',
        *(f"PARAMETER {line}" for line in parameters.split("\n") if line),
    ]
    return OllamaShown(
        modelfile="\n".join(lines),
        parameters=parameters,
        template=template,
        details=details(engine),
        model_info=model_info(engine),
        modified_at=STARTED_AT,
    )


def ollama_template(engine: Engine) -> str:
    """The template of the model's conversations, in Ollama's notation."""
    layout = layout_of(engine.profile.template)
    person = f"{layout.person}{{{{ .Prompt }}}}"
    return f"{person}{layout.between}{layout.model}" if layout.has_turns else person


def model_info(engine: Engine) -> dict[str, str | int]:
    known: dict[str, str | int] = {
        "general.architecture": "gpt2",
        "general.basename": engine.name,
        "gpt2.context_length": engine.n_ctx,
        "gpt2.vocab_size": len(engine.tokenizer),
    }
    if not isinstance(engine.profile, Manifest):
        return known
    hparams = engine.profile.hparams
    return known | {
        "general.parameter_count": parameter_count(hparams),
        "gpt2.embedding_length": hparams.n_embd,
        "gpt2.block_count": hparams.n_layer,
        "gpt2.attention.head_count": hparams.n_head,
    }


def details(engine: Engine) -> OllamaModelDetails:
    if not isinstance(engine.profile, Manifest):
        return OllamaModelDetails("", "")
    return OllamaModelDetails(short(parameter_count(engine.profile.hparams)), LEVELS[engine.profile.bits])


def parameter_count(hparams: Hparams) -> int:
    """Of a GPT-2 of this shape, whose output shares the weights of its embedding."""
    width = hparams.n_embd
    layer = 12 * width * width + 13 * width
    return (hparams.n_vocab + hparams.n_ctx) * width + hparams.n_layer * layer + 2 * width


def short(count: int) -> str:
    """A number of parameters such as 124.4M."""
    return f"{count / 10**6:.1f}M"


def digest(engine: Engine) -> str:
    """Tells two models apart, by the SHA-256 of the bundle's manifest, which has those of its files."""
    return hashlib.sha256(msgspec.json.encode([engine.name, engine.profile])).hexdigest()
