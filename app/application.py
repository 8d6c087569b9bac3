"""The application: routes, middleware, exception handlers, lifespan."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import ASGIApp

from app.api.access_log import AccessLog, RequestLabels
from app.api.chat import chat
from app.api.completions import completions
from app.api.cors import CrossOriginMiddleware
from app.api.docs import docs, docs_file, openapi
from app.api.error_responses import (
    handle_disconnect,
    handle_generation_error,
    handle_request_error,
    handle_unexpected_error,
)
from app.api.feedback import feedback
from app.api.generate import generate
from app.api.installation import preview, service_worker, web_manifest
from app.api.keys import AccessControl, ApiKeys, rate_limited, requires_key
from app.api.malformed_requests import MalformedMiddleware
from app.api.model_list import list_models, show_model
from app.api.on_demand import on_demand
from app.api.page import BrowserRoute, page
from app.api.page_files import COMPRESSED, page_file
from app.api.paths import PathMiddleware
from app.api.plain_page import plain, wrong_address
from app.api.play import draw, guess, play_page
from app.api.refusals import RefusalPace
from app.api.service import health, metrics, version
from app.api.shutdown import ShutdownMiddleware
from app.api.state import State
from app.api.telegram import telegram
from app.api.tokens import detokenize, tokenize
from app.api.unread_body import UnreadBodyMiddleware
from app.blind.comparison import read_comparison
from app.blind.guessing_game import open_game
from app.bot import open_updates
from app.engine.generation_queue import GenerationQueue
from app.engine.heap import return_free_memory_regularly
from app.errors import GenerationError, RequestError
from app.feedback import open_store
from app.models import Models
from app.rate_limit import RateLimiter
from app.settings import Settings, on_cloud_run
from app.telemetry import Telemetry


def create_application(
    models: Models, queue: GenerationQueue, settings: Settings, telemetry: Telemetry | None = None
) -> ASGIApp:
    """The whole application, which closes `queue`, its stores and `telemetry` when it stops. Raises SettingError."""
    request_counts: Counter[RequestLabels] = Counter()
    access = AccessControl(ApiKeys(settings.keys), RateLimiter(settings.rate_limit), on_cloud_run())
    refusals = RefusalPace()
    store = open_store(settings.feedback) if settings.feedback else None
    settings.require_telegram_secret()
    settings.require_a_use_of_compare()
    comparison = read_comparison(settings.compare, models.names)
    game = open_game(models, queue, store, comparison, settings.max_length)
    updates = open_updates(models, queue, store, settings, comparison, game)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[State]:
        returning = asyncio.create_task(return_free_memory_regularly())
        yield {
            "models": models,
            "queue": queue,
            "settings": settings,
            "request_counts": request_counts,
            "access": access,
            "refusals": refusals,
            "feedback": store,
            "game": game,
            "updates": updates,
        }
        returning.cancel()
        if updates is not None:
            await updates.close()
        queue.close()
        if store is not None:
            await store.close()
        if telemetry is not None:
            await asyncio.to_thread(telemetry.close)

    application = Starlette(
        routes=[
            BrowserRoute("/", page, middleware=COMPRESSED),
            Route("/", rate_limited(generate), methods=["GET", "POST"]),
            Route("/generate", rate_limited(generate), methods=["GET", "POST"]),
            BrowserRoute("/play", play_page, middleware=COMPRESSED),
            Route("/play", rate_limited(draw), methods=["POST"]),
            Route("/play/guesses", rate_limited(guess), methods=["POST"]),
            Route("/generate_stream", rate_limited(on_demand("tgi", "generate_stream")), methods=["POST"]),
            Route("/info", requires_key(on_demand("tgi", "info"))),
            Route("/api/generate", rate_limited(on_demand("ollama", "ollama_generate")), methods=["POST"]),
            Route("/api/chat", rate_limited(on_demand("ollama", "ollama_chat")), methods=["POST"]),
            Route("/api/show", requires_key(on_demand("ollama_models", "show")), methods=["POST"]),
            Route("/api/tags", requires_key(on_demand("ollama_models", "tags"))),
            Route("/api/ps", requires_key(on_demand("ollama_models", "processes"))),
            Route("/api/version", requires_key(on_demand("ollama_models", "ollama_version"))),
            Route("/completion", rate_limited(on_demand("llama_cpp", "completion")), methods=["POST"]),
            Route("/completions", rate_limited(on_demand("llama_cpp", "completion")), methods=["POST"]),
            Route("/props", requires_key(on_demand("llama_cpp", "props"))),
            Route("/feedback", rate_limited(feedback), methods=["POST"]),
            Route("/telegram", telegram, methods=["POST"]),
            Route("/v1/completions", rate_limited(completions), methods=["POST"]),
            Route("/v1/chat/completions", rate_limited(chat), methods=["POST"]),
            Route("/v1/responses", rate_limited(on_demand("responses", "responses")), methods=["POST"]),
            Route("/v1/models", requires_key(list_models)),
            Route("/v1/models/{name:path}", requires_key(show_model)),
            Route("/tokenize", rate_limited(tokenize), methods=["POST"]),
            Route("/detokenize", rate_limited(detokenize), methods=["POST"]),
            Route("/web/{version}/{name}", page_file, middleware=COMPRESSED),
            Route("/plain", plain),
            Route("/preview.png", preview),
            Route("/manifest.webmanifest", web_manifest),
            Route("/worker.js", service_worker),
            Route("/openapi.json", openapi),
            Route("/docs", docs),
            Route("/docs/{name}", docs_file),
            Route("/health", health),
            Route("/version", version),
            Route("/metrics", requires_key(metrics)),
        ],
        middleware=[
            Middleware(UnreadBodyMiddleware),
            Middleware(
                CrossOriginMiddleware,
                allow_origins=settings.origins,
                allow_methods=["*"],
                allow_headers=["*"],
                expose_headers=["*"],
                max_age=86400,
            ),
            Middleware(MalformedMiddleware),
            Middleware(PathMiddleware),
            Middleware(ShutdownMiddleware),
        ],
        exception_handlers={
            RequestError: handle_request_error,
            GenerationError: handle_generation_error,
            HTTPException: wrong_address,
            ClientDisconnect: handle_disconnect,
            Exception: handle_unexpected_error,
        },
        lifespan=lifespan,
    )
    application.router.redirect_slashes = False
    # Not among the middleware, since Starlette answers 500 from outside of it.
    logged = AccessLog(application, request_counts)
    if telemetry is None:
        return logged
    from app.api.tracing import TracingMiddleware

    return TracingMiddleware(logged, telemetry.tracer)
