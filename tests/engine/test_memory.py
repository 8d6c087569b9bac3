"""Memory: what the container allows, what a model needs, and which models are freed when it is short."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.engine.fake import FakeEngine
from app.engine.memory import MOST_ROWS, SCRATCH, ModelMemory
from app.engine.memory_limit import memory_allowed
from app.engine.prefix_cache import KeptSlot, PrefixCache
from app.errors import MachineError


class LargeEngine(FakeEngine):
    """Its weights take 100 bytes, and each position of a KV cache one."""

    def __init__(self, name: str, n_ctx: int = 1024) -> None:
        super().__init__(name=name, n_ctx=n_ctx)
        self.weight_bytes = 100

    def slot_bytes(self, positions: int) -> int:
        return positions


A, B, C, D = (LargeEngine(name) for name in "abcd")


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


def test_a_model_that_does_not_fit_with_one_text_is_refused() -> None:
    """Only its weights were counted, so the first long text could end the process."""
    needed = 7 + 100 + SCRATCH + 50
    ModelMemory(needed, base=7).fit(LargeEngine("a", n_ctx=50), Path("models/a"))
    with pytest.raises(
        MachineError, match=r"^the container may use \d+ MB of memory and models/a needs \d+: allow it more, or .+\.$"
    ):
        ModelMemory(needed - 1, base=7).fit(LargeEngine("a", n_ctx=50), Path("models/a"))


@pytest.mark.parametrize(("room", "positions"), [(50, 50), (MOST_ROWS + 99, 50), (MOST_ROWS + 120, 70), (10_000, 400)])
def test_batches_are_no_larger_than_what_fits_beside_the_weights(room: int, positions: int) -> None:
    engine = LargeEngine("a", n_ctx=50)
    ModelMemory(100 + SCRATCH + room, base=0).fit(engine, Path("a"))
    assert engine.max_positions == positions


@pytest.mark.parametrize(("rows", "fits"), [(3, True), (4, False)])
def test_more_texts_at_once_than_memory_allows_stop_the_start(rows: int, fits: bool) -> None:
    """They would have waited for each other, whatever CONCURRENCY said."""
    memory = ModelMemory(SCRATCH + 100 + 3 * 50 + 49, base=0)
    if fits:
        memory.fit(LargeEngine("a", n_ctx=50), Path("models/a"), rows)
        return
    with pytest.raises(
        MachineError, match=r"^CONCURRENCY is 4, and beside models/a 3 texts .+: set CONCURRENCY=3, or "
    ):
        memory.fit(LargeEngine("a", n_ctx=50), Path("models/a"), rows)


def memory_with(*engines: FakeEngine, room: int, prefixes: PrefixCache | None = None) -> ModelMemory:
    """These models are loaded, and besides the scratch memory of one generation there are `room` bytes in all."""
    memory = ModelMemory(SCRATCH + room, base=0, prefixes=prefixes)
    for engine in engines:
        claim = memory.claim(engine)
        assert claim is not None
        memory.settle(claim, loaded=True)
        memory.release(claim)
    return memory


@pytest.mark.parametrize(
    ("room", "work", "freed"),
    [
        (400, 0, []),
        (399, 0, ["a"]),
        (400, 1, ["a"]),
        (300, 0, ["a"]),
        (300, 1, ["a", "b"]),
        (300, 101, ["a", "b", "c"]),
    ],
)
def test_the_least_recently_used_models_are_freed_and_no_more_than_needed(
    room: int, work: int, freed: list[str]
) -> None:
    """The texts that are generated count too: they were a constant, however large the batch was."""
    memory = memory_with(A, B, C, room=room)
    claim = memory.claim(D, work)
    assert claim is not None
    assert [engine.name for engine in claim.freed] == freed
    assert memory.loaded == [name for name in "abcd" if name not in freed]


def test_what_was_used_last_is_freed_last() -> None:
    memory = memory_with(A, B, A, C, room=300)
    claim = memory.claim(D)
    assert claim is not None
    assert [engine.name for engine in claim.freed] == ["b"]


def test_a_model_in_use_is_not_freed_and_another_waits_until_it_can_be() -> None:
    memory = memory_with(A, room=100)
    user = memory.claim(A)
    assert user is not None
    assert memory.claim(B) is None
    assert memory.loaded == ["a"]
    memory.release(user)
    claim = memory.claim(B)
    assert claim is not None
    assert claim.freed == [A]


def test_a_model_is_not_loaded_again_while_another_thread_is_about_to_free_it() -> None:
    """Both began at once, and the model could be freed just after it was loaded: the next request loaded it a second time."""
    heavy = [LargeEngine(name) for name in "abc"]
    for engine in heavy:
        engine.weight_bytes = 2 * SCRATCH
    memory = memory_with(*heavy, room=6 * SCRATCH)
    larger = memory.claim(heavy[2], 1)
    assert larger is not None
    assert larger.freed == [heavy[0]]
    assert memory.claim(heavy[0]) is None
    memory.settle(larger, loaded=True)
    again = memory.claim(heavy[0])
    assert again is not None
    assert again.freed == [heavy[1]]


def test_one_model_is_loaded_at_a_time_and_none_twice() -> None:
    memory = memory_with(A, room=10**9)
    first = memory.claim(B)
    assert first is not None
    assert memory.claim(B) is None
    assert memory.claim(C) is None
    assert memory.claim(A) is not None
    memory.settle(first, loaded=True)
    second = memory.claim(B)
    assert second is not None
    assert not second.loads
    assert memory.claim(C) is not None


def test_a_model_that_could_not_be_loaded_is_loaded_by_the_next_who_wants_it() -> None:
    memory = memory_with(A, room=10**9)
    failed = memory.claim(B)
    assert failed is not None
    memory.settle(failed, loaded=False)
    memory.release(failed)
    assert memory.loaded == ["a"]
    again = memory.claim(B)
    assert again is not None
    assert again.loads


def test_cached_prefixes_count_and_leave_before_a_model_does() -> None:
    prefixes = PrefixCache(100)
    memory = memory_with(A, room=260, prefixes=prefixes)
    for token in range(4):
        prefixes.keep(KeptSlot("a", np.array([token, 9]), slot=token, bytes=20))
    assert prefixes.bytes == 80
    claim = memory.claim(B, 19)
    assert claim is not None
    assert (claim.freed, prefixes.bytes) == ([], 40)
    assert prefixes.find("a", np.array([3, 9, 1])) == (3, 2)
    assert prefixes.find("a", np.array([0, 9, 1])) is None
    assert sorted(prefixes.take_dropped("a")) == [0, 1]
    assert prefixes.take_dropped("a") == []
