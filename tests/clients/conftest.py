"""A real server on loopback for other programs' clients. `make clients` runs these tests in an environment of its own.

The packages of the other tests are not there, so the other tests' fixtures are not either.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# Neither is anything fetched, nor does anything report what it does. litellm reads the first when it is imported.
os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "HF_HUB_DISABLE_TELEMETRY": "1", "LANGSMITH_TRACING": "false"}
os.environ |= {"NO_PROXY": "127.0.0.1"}

from app.application import create_application
from app.engine.bundle import open_bundle
from app.engine.fake import FakeEngine
from app.engine.generation_queue import GenerationQueue
from app.engine.onnx import OnnxEngine
from app.models import Models
from app.settings import Settings
from tests.fakes.loopback import on_loopback

STARTER = Path(__file__).parent.parent.parent / "models/starter"


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """A server with a fake model, which is the default, and with the starter."""
    models = Models([FakeEngine(), OnnxEngine(open_bundle(STARTER), threads=1)])
    models.load_default()
    settings = Settings(engine="fake", feedback="")
    queue = GenerationQueue(settings.concurrency, settings.queue_limit, settings.request_timeout, models.memory)
    with on_loopback(create_application(models, queue, settings)) as address:
        yield address
