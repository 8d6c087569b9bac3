"""Processes in which Keras runs on JAX, with the CPU divided into several devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest


def jax_pool(devices: int) -> Iterator[Callable[..., Any]]:
    """Call a function in a process where JAX has so many devices."""
    variables = {
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
    }
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        with pytest.MonkeyPatch.context() as patch:  # Other tests' processes must not find these variables.
            for name, value in variables.items():
                patch.setenv(name, value)
            pool.submit(int).result()
        yield lambda function, *arguments: pool.submit(function, *arguments).result()


@pytest.fixture(scope="session")
def four_devices() -> Iterator[Callable[..., Any]]:
    yield from jax_pool(4)


@pytest.fixture(scope="session")
def two_devices() -> Iterator[Callable[..., Any]]:
    yield from jax_pool(2)
