"""Memory: what the container allows, what a model needs, and which models are freed when it is short."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import MachineError
from app.memory import BASE, WORK, check_memory, memory_allowed, models_to_free, size_of


def test_a_model_that_does_not_fit_in_memory_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx.data"
    file.write_bytes(b"\0" * 2**20)
    needed = BASE + 2**20
    size = size_of([file, tmp_path / "missing"])
    check_memory(tmp_path, size, needed)
    check_memory(tmp_path, size, None)
    with pytest.raises(
        MachineError, match=rf"^the container may use \d+ MB of memory and {tmp_path} needs more than .+\.$"
    ):
        check_memory(tmp_path, size, needed - 1)


@pytest.mark.parametrize(
    ("name", "text", "allowed"),
    [
        ("memory.max", "536870912\n", 2**29),
        ("memory.max", "max\n", None),
        ("memory/memory.limit_in_bytes", "536870912\n", 2**29),
        ("memory/memory.limit_in_bytes", "9223372036854771712\n", None),
        ("else", "", None),
    ],
)
def test_the_memory_limit_of_either_version_of_control_groups(
    tmp_path: Path, name: str, text: str, allowed: int | None
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    assert memory_allowed(tmp_path) == allowed


@pytest.mark.parametrize(
    ("allowed", "freed"), [(None, []), (400, []), (399, ["a"]), (300, ["a"]), (299, ["a", "b"]), (0, ["a", "b", "c"])]
)
def test_the_least_recently_used_models_are_freed_and_no_more_than_needed(
    allowed: int | None, freed: list[str]
) -> None:
    limit = None if allowed is None else BASE + WORK + allowed
    assert models_to_free(["a", "b", "c"], "d", dict.fromkeys("abcd", 100), limit) == freed
