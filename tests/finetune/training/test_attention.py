"""Every way of computing attention gives the same losses and gradients, for packed rows and for full ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finetune.checkpoint import newest_whole
from finetune.data.packing import Packed
from finetune.data.prepared import open_data
from tests.finetune.training.runs import training_options

Gradients = list[np.ndarray]


def losses_and_gradients(base: Path, packed: bool) -> dict[str, tuple[float, Gradients]]:
    """By the name of the attention."""
    import jax
    from keras import optimizers

    from finetune.training.attention import document_places, flash_attention
    from finetune.training.gpt2 import GPT2
    from finetune.training.jax_step import CompiledStep

    source, weights = newest_whole(base / "init")
    rows = Packed(open_data(base / "data").train, 299, 64)
    batch = next(iter(rows.in_order(4)))
    if not packed:
        batch.segments[:] = 1
    most = int(batch.segments.max())

    def by_places(segments: Any) -> Any:
        return emulated_packed_attention(*document_places(segments, most))

    ways = {"plain": None, "flash": partial(flash_attention, most=most, implementation="xla"), "places": by_places}
    found = {}
    for name, attention in ways.items():
        model = GPT2(source.hparams, attention=attention)
        model.load({name: array * 8 if "attn" in name else array for name, array in weights.items()})
        optimizer = optimizers.SGD(1.0)
        optimizer.build(model.trainable_variables)
        step = CompiledStep(model, optimizer)
        before = step.state[0]

        def loss(trained: Any, model: Any = model, step: Any = step) -> Any:
            with step.holding((trained, *step.state[1:])):
                return model.mean_loss(*batch.for_keras(), batch.counted, training=True)

        value, gradients = jax.jit(jax.value_and_grad(loss))(before)
        found[name] = (float(value), [np.asarray(array) for array in gradients])
    return found


def emulated_packed_attention(starts: Any, lengths: Any) -> Any:
    """What cuDNN makes of the places of documents, computed by JAX."""
    import jax
    from jax import numpy as jnp

    at, first = jnp.arange(64), starts[:, :-1, None]
    within = (at >= first) & (at < first + lengths[..., None])
    same = (within[..., :, None] & within[..., None, :]).any(axis=1)
    return partial(jax.nn.dot_product_attention, mask=(same & (at[:, None] >= at))[:, None])


@pytest.mark.slow
@pytest.mark.parametrize("packed", [True, False], ids=["packed", "full"])
def test_every_way_gives_the_same_losses_and_gradients(
    base: Path, four_devices: Callable[..., Any], packed: bool
) -> None:
    found = four_devices(losses_and_gradients, base, packed)
    loss, gradients = found.pop("plain")
    for other, others in found.values():
        assert other == pytest.approx(loss, abs=1e-5)
        for one, theirs in zip(gradients, others, strict=True):
            assert np.abs(one - theirs).max() < 1e-5 + 1e-4 * np.abs(one).max()


def places(segments: list[list[int]], most: int) -> tuple[list[list[int]], list[list[int]]]:
    from keras import ops

    from finetune.training.attention import document_places

    starts, lengths = document_places(ops.convert_to_tensor(segments, "int32"), most)
    return ops.convert_to_numpy(starts).tolist(), ops.convert_to_numpy(lengths).tolist()


@pytest.mark.slow
def test_documents_have_places_and_padding_belongs_to_the_last(four_devices: Callable[..., Any]) -> None:
    """A row of padding alone is one document."""
    starts, lengths = four_devices(places, [[1, 1, 2, 3, 3, 0], [1, 1, 1, 1, 1, 1], [0] * 6], 4)
    assert lengths == [[2, 1, 3, -1], [6, -1, -1, -1], [6, -1, -1, -1]]
    assert starts == [[0, 2, 3, -1, -1], [0, -1, -1, -1, -1], [0, -1, -1, -1, -1]]


def refusal(options: Any, size: int) -> str:
    from app.engine.bundle import Hparams
    from app.errors import SettingError
    from finetune.training.attention import uses_flash

    try:
        return str(uses_flash(options, Hparams(n_vocab=300, n_ctx=64, n_embd=size, n_head=1, n_layer=1)))
    except SettingError as error:
        return str(error)


def test_flash_attention_is_refused_on_tensorflow(base: Path, tmp_path: Path, keras: Callable[..., Any]) -> None:
    asked = training_options(base, tmp_path, attention="flash", precision="bfloat16")
    assert keras(refusal, asked, 64) == (
        "--attention is flash, and Keras has it on JAX only: set KERAS_BACKEND=jax; "
        "auto computes plain attention where it has to."
    )


def test_flash_attention_is_refused_without_a_gpu(base: Path, tmp_path: Path, four_devices: Callable[..., Any]) -> None:
    asked = training_options(base, tmp_path, attention="flash", precision="bfloat16")
    assert "and it needs a GPU; auto" in four_devices(refusal, asked, 64)
    for way in ("auto", "plain"):
        assert four_devices(refusal, training_options(base, tmp_path, attention=way), 64) == "False"


class Card:
    """A device as JAX describes it."""

    def __init__(self, capability: str) -> None:
        self.platform, self.device_kind, self.compute_capability = "gpu", "Tesla T4", capability


def missing_on(capability: str, precision: str, size: int) -> str:
    import jax

    from finetune.training.attention import missing_for_flash

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax, "devices", lambda: [Card(capability)])
        return missing_for_flash(precision, size)


@pytest.mark.parametrize(
    ("capability", "precision", "size", "missing"),
    [
        ("8.0", "bfloat16", 64, ""),
        ("9.0", "float16", 80, ""),
        ("7.5", "float16", 64, "it needs a GPU of the Ampere generation or a later one, which the Tesla T4 is not"),
        ("8.9", "float32", 64, "it computes in 16 bits: give --precision bfloat16"),
        ("9.0", "bfloat16", 100, "it needs heads whose size is a multiple of 8 up to 128, and this model's is 100"),
    ],
)
def test_what_is_missing_for_flash_attention(
    four_devices: Callable[..., Any], capability: str, precision: str, size: int, missing: str
) -> None:
    assert four_devices(missing_on, capability, precision, size) == missing


def arguments_of_cudnns_function() -> set[str]:
    import inspect

    from jax._src.cudnn import fused_attention_stablehlo

    return {*inspect.signature(fused_attention_stablehlo.dot_product_attention).parameters}


def test_jax_takes_the_places_of_documents(four_devices: Callable[..., Any]) -> None:
    """The function is not among JAX's public ones, and may change with JAX."""
    assert {"q_seqlen", "kv_seqlen", "q_offsets", "kv_offsets"} < four_devices(arguments_of_cudnns_function)
