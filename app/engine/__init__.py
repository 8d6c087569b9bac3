"""Computing text: the contract is in base, the implementations in onnx, tensorflow and fake."""

from __future__ import annotations

from app.engine.base import Engine
from app.settings import Settings


def load_engine(settings: Settings) -> Engine:
    """Load the engine that the settings name; only its own libraries are imported. Raises StartError."""
    if settings.engine == "fake":
        from app.engine.fake import FakeEngine

        return FakeEngine()
    if settings.engine == "tensorflow":
        from app.engine.tensorflow import TensorflowEngine

        return TensorflowEngine(settings.model_folder, settings.threads_allowed)
    from app.engine.bundle import FILES, open_bundle
    from app.engine.onnx import OnnxEngine
    from app.memory import check_memory, memory_allowed

    check_memory([settings.model_folder / name for name in FILES], memory_allowed())
    return OnnxEngine(open_bundle(settings.model_folder), settings.threads_allowed)
