"""Memory is told where the system tells it, and no GPU is no error."""

from __future__ import annotations

import jax
import pytest

from finetune.training.memory_in_use import device_bytes, resident_bytes


def test_without_a_gpu_only_the_process_has_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert jax.local_devices()[0].platform == "cpu"
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert device_bytes() is None
    assert resident_bytes() is None or resident_bytes() > 10**7  # type: ignore[operator]
