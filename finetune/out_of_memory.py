"""Memory that runs out: how the libraries report it, and the sentence that a person gets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import FatalError, MachineError

# In the messages of TensorFlow, JAX, ONNX Runtime, C++ and operating systems, in lower case.
SIGNS = (
    "out of memory", "out_of_memory", "oom when allocating", "resource_exhausted", "failed to allocate", "bad_alloc",
    "bad allocation", "cannot allocate memory", "can't start new thread", "failed to map segment",
    "error return without exception set",  # Of extensions that cannot even allocate their error.
)  # fmt: skip


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether the error, or what led to it, is that memory ran out."""
    if error is None or "no space left" in str(error).lower():  # TensorFlow calls a full disk exhausted too.
        return False
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return True
    return any(sign in str(error).lower() for sign in SIGNS) or is_out_of_memory(error.__cause__ or error.__context__)


@contextmanager
def explain_memory(remedy: str) -> Iterator[None]:
    """Raises MachineError with the remedy where memory runs out."""
    try:
        yield
    except FatalError:
        raise
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise MachineError(f"there is not enough memory: {remedy}.") from None
