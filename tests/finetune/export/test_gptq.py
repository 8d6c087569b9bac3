"""GPTQ: rounding that looks at what a projection reads, in the layout of ONNX Runtime's MatMulNBits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from app.engine.bundle import Hparams
from finetune.checkpoint import Array, initial_weights
from finetune.export.gptq import gptq, hessian, pack, restore, round_weights, unpack
from finetune.export.graph_builder import GraphBuilder
from finetune.export.numpy_gpt2 import all_logits
from finetune.export.projections import Projections
from finetune.export.quantization import RoundedBlocks, quantize


def correlated(tokens: int, columns: int) -> Array:
    """Inputs that occur together, as those of a model do."""
    random = np.random.default_rng(0)
    causes = random.standard_normal((tokens, columns // 4)) @ random.standard_normal((columns // 4, columns))
    return (causes + 0.3 * random.standard_normal((tokens, columns))).astype(np.float32)


def loss(weight: Array, rounded: RoundedBlocks, inputs: Array) -> float:
    difference = inputs @ (weight - restore(rounded)).T
    return float((difference * difference).mean())


@pytest.mark.parametrize("columns", [32, 64, 72, 192])
def test_it_loses_much_less_than_rounding_to_the_nearest_step(columns: int) -> None:
    weight = np.random.default_rng(1).standard_normal((40, columns)).astype(np.float32)
    inputs = correlated(600, columns)
    careful = gptq(weight, hessian(inputs), 64)
    assert loss(weight, careful, inputs) < loss(weight, quantize(weight, 4, 64), inputs) / 2


@pytest.mark.parametrize("columns", [64, 72, 192])
@pytest.mark.parametrize("bits", [4, 8])
def test_what_is_restored_is_what_the_runtime_computes_with(columns: int, bits: int) -> None:
    weight = np.random.default_rng(1).standard_normal((40, columns)).astype(np.float32)
    inputs = correlated(30, columns)
    rounded = gptq(weight, hessian(inputs), 64) if bits == 4 else quantize(weight, 8, 64)
    graph = GraphBuilder()
    Projections(graph).multiply_blocks("x", "y", rounded, None)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, None]) for name in ("x", "y")]
    model = graph.model(ends[:1], ends[1:])
    computed = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": inputs})[0]
    expected = inputs @ restore(rounded).T
    # The runtime rounds the inputs too.
    assert np.abs(computed - expected).max() < 0.03 * np.abs(expected).max()


def test_weights_that_are_all_zero_and_inputs_that_never_occur_are_no_trouble() -> None:
    weight = np.zeros((3, 64), np.float32)
    weight[1] = np.random.default_rng(1).standard_normal(64)
    inputs = correlated(100, 64)
    inputs[:, 7] = 0
    for seen in (inputs, np.zeros_like(inputs)):
        restored = restore(gptq(weight, hessian(seen), 64))
        assert not restored[[0, 2]].any()
        assert np.abs(restored[1] - weight[1]).max() < 1


def test_packing_can_be_undone() -> None:
    values = np.random.default_rng(0).integers(0, 16, (3, 7), np.uint8)
    assert np.array_equal(unpack(pack(values))[:, :7], values)


@pytest.mark.slow
def test_a_whole_model_strays_less_and_its_first_layer_has_8_bits() -> None:
    hparams = Hparams(n_vocab=97, n_ctx=64, n_embd=64, n_head=2, n_layer=3)
    weights = {name: w * 6 if w.ndim > 1 else w for name, w in initial_weights(hparams, seed=2).items()}
    random = np.random.default_rng(3)
    read, unseen = (random.integers(0, 20, (40, 64)) for _ in range(2))
    said: list[str] = []
    careful = round_weights(hparams, weights, list(read), said.append)
    assert said == ["round layer 1 of 3", "round layer 2 of 3", "round layer 3 of 3", "round the output head"]
    assert {name: rounded.bits for name, rounded in careful.items()} == {
        f"h{layer}/{part}": 8 if layer == 0 else 4
        for layer in range(3)
        for part in ("attn/c_attn", "attn/c_proj", "mlp/c_fc", "mlp/c_proj")
    } | {"logits": 4}
    nearest = {name: quantize(restored, rounded.bits, 32) for name, rounded in careful.items()
               for restored in [weights["wte"] if name == "logits" else weights[f"{name}/w"][0].T]}  # fmt: skip

    def strays(rounded: dict[str, RoundedBlocks]) -> float:
        changed = weights | {f"{name}/w": restore(r).T[None] for name, r in rounded.items() if name != "logits"}
        differences = [all_logits(hparams, changed, t) - all_logits(hparams, weights, t) for t in unseen[:10]]
        return float(np.square(differences).mean())

    assert strays(careful) < 0.8 * strays(nearest)


def test_export_rounds_with_care(bundles: dict[int, Path]) -> None:
    """At 4 bits only. This run has no data, so the model wrote the text itself."""
    from app.engine.bundle import read_manifest

    rounding = read_manifest(bundles[4]).rounding
    assert (rounding["weights"], rounding["weights_for"]) == ("GPTQ", "sampled text")
    assert "weights" not in read_manifest(bundles[8]).rounding
