"""GPT-2 as an ONNX graph, built from a checkpoint's arrays.

Inputs   tokens int64 [rows, n], positions int64 [n], and, for attention over a static KV cache,
         last int32 [rows] (the index of the newest position) and total int32 scalar (positions in the cache);
         past_key_N, past_value_N float32 [rows, n_head, capacity, n_embd / n_head] for each layer
Outputs  logits float32 [rows, n_vocab] of the newest position; key_N, value_N, to be bound to the memory of past_*

`com.microsoft.GroupQueryAttention` applies the causal mask and writes new keys and values into the cache in place.

At 8 and 4 bits, every projection of a large model is a `MatMulNBits`, which also rounds activations to 8 bits on the fly
(accuracy_level 4): that makes it fast. A small model stores rounded weights too, but restores them to float32 when it is
loaded. In a model that small this costs no time, and rounding activations would cause most of the error.

GPT-2's token embedding and output head are one matrix. A rounded graph has two constants for it, because the runtime
repacks the head. Where both are the same bytes the file holds them once, and only the embedding rows in use enter memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data

from app.engine.bundle import Hparams
from finetune.checkpoint import Array
from finetune.export.quantization import block_size, is_small, quantize

OPSET = 17
MICROSOFT = "com.microsoft"
EPSILON = 1e-5
INLINE_BYTES = 1024
"""Larger constants go into the data file, which is mapped into memory, each at the start of a page."""
PAGE = 4096


class GraphBuilder:
    """Collects the nodes and constants of one model."""

    def __init__(self, weights: Mapping[str, Array], bits: int) -> None:
        self.weights = weights
        self.bits = bits
        self.small = is_small(weights)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def add(
        self,
        kind: str,
        inputs: list[str],
        output: str,
        domain: str = "",
        more: tuple[str, ...] = (),
        **attributes: Any,
    ) -> str:
        """Add a node and return its first output. `more` names its further outputs."""
        self.nodes.append(helper.make_node(kind, inputs, [output, *more], name=output, domain=domain, **attributes))
        return output

    def project(self, x: str, name: str) -> str:
        """The product x @ weight + bias of the projection `name`, whose weight is [1, inputs, outputs]."""
        weight, bias = self.weights[f"{name}/w"][0], self.weights[f"{name}/b"]
        if self.bits == 32:
            return self.multiply(x, self.constant(f"{name}.w", weight), name, bias)
        return self.multiply_quantized(x, name, weight, bias)

    def multiply(self, x: str, matrix: str, name: str, bias: Array | None) -> str:
        product = self.add("MatMul", [x, matrix], name if bias is None else f"{name}.product")
        return product if bias is None else self.add("Add", [product, self.constant(f"{name}.b", bias)], name)

    def multiply_quantized(self, x: str, name: str, weight: Array, bias: Array | None) -> str:
        inputs, outputs = weight.shape
        block = block_size(inputs, self.small)
        values, scales = quantize(weight.T, self.bits, block)
        if self.small and self.bits == 8:
            return self.multiply(x, self.dequantize(name, values, scales, inputs), name, bias)
        operands = [x, self.constant(f"{name}.q", values), self.constant(f"{name}.s", scales)]
        if bias is not None:
            operands += ["", "", self.constant(f"{name}.b", bias)]
        shape: dict[str, Any] = {"K": inputs, "N": outputs, "bits": self.bits, "block_size": block}
        return self.add("MatMulNBits", operands, name, MICROSOFT, **shape, accuracy_level=4)

    def dequantize(self, name: str, values: NDArray[np.uint8], scales: Array, inputs: int) -> str:
        """The float32 matrix [inputs, outputs] of 8-bit weights. The runtime computes it once, when it loads the model."""
        steps = self.add("Cast", [self.constant(f"{name}.q", values)], f"{name}.steps", to=TensorProto.FLOAT)
        centred = self.add("Sub", [steps, self.constant(f"{name}.zero", np.array(128, np.float32))], f"{name}.centred")
        scaled = self.add("Mul", [centred, self.constant(f"{name}.s", scales[..., np.newaxis])], f"{name}.scaled")
        shape = self.constant(f"{name}.shape", np.array([len(values), -1], np.int64))
        rows = self.add("Reshape", [scaled, shape], f"{name}.rows")
        start, end, axis = (
            self.constant(f"{name}.{part}", np.array([value], np.int64))
            for part, value in {"start": 0, "end": inputs, "axis": 1}.items()
        )
        unpadded = self.add("Slice", [rows, start, end, axis], f"{name}.unpadded")
        return self.add("Transpose", [unpadded], f"{name}.w", perm=[1, 0])

    def embed(self) -> str:
        """Token embedding plus position embedding, [rows, n, n_embd]."""
        positions = self.add("Gather", [self.constant("wpe", self.weights["wpe"]), "positions"], "position")
        return self.add("Add", [self.embed_tokens(self.weights["wte"]), positions], "h")

    def embed_tokens(self, wte: Array) -> str:
        if self.bits == 32:
            return self.add("Gather", [self.constant("wte", wte), "tokens"], "embedding")
        # 8 bits even in a 4-bit bundle: a lookup reads few bytes, so rounding harder would save no time.
        block = block_size(wte.shape[1], self.small)
        values, scales = quantize(wte, 8, block)
        values = values.reshape(len(wte), -1)[:, : wte.shape[1]]
        operands = [self.constant("wte.q", values), "tokens", self.constant("wte.s", scales)]
        layout: dict[str, Any] = {"bits": 8, "block_size": block, "gather_axis": 0, "quantize_axis": 1}
        return self.add("GatherBlockQuantized", operands, "embedding", MICROSOFT, **layout)

    def unembed(self, x: str) -> str:
        """Logits [rows, n_vocab]."""
        if self.bits == 32:
            return self.add("Gemm", [x, "wte"], "logits", transB=1)
        return self.multiply_quantized(x, "logits", self.weights["wte"].T, None)

    def attend(self, qkv: str, layer: int, heads: int) -> str:
        cache = ["", "", f"past_key_{layer}", f"past_value_{layer}", "last", "total"]
        outputs = (f"key_{layer}", f"value_{layer}")
        shape = {"num_heads": heads, "kv_num_heads": heads}
        return self.add("GroupQueryAttention", [qkv, *cache], f"h{layer}/attn", MICROSOFT, outputs, **shape)

    def norm(self, x: str, name: str) -> str:
        return self.add("LayerNormalization", [x, *self.gain_and_bias(name)], name, axis=-1, epsilon=EPSILON)

    def add_norm(self, x: str, y: str, name: str) -> tuple[str, str]:
        """The residual sum x + y and its layer norm in one node. Returns (sum, normalized)."""
        inputs, outputs = [x, y, *self.gain_and_bias(name)], ("", "", f"{name}.sum")
        self.add("SkipLayerNormalization", inputs, name, MICROSOFT, outputs, epsilon=EPSILON)
        return f"{name}.sum", name

    def gain_and_bias(self, name: str) -> list[str]:
        return [self.constant(f"{name}.{part}", self.weights[f"{name}/{part}"]) for part in ("g", "b")]


def build_graph(hparams: Hparams, weights: Mapping[str, Array], bits: int) -> onnx.ModelProto:
    """The graph that the module's docstring describes. `bits` is 32 (exact), 8 or 4."""
    graph = GraphBuilder(weights, bits)
    x = graph.embed()
    h = graph.norm(x, "h0/ln_1")
    for layer in range(hparams.n_layer):
        name = f"h{layer}"
        attention = graph.attend(graph.project(h, f"{name}/attn/c_attn"), layer, hparams.n_head)
        x, h = graph.add_norm(x, graph.project(attention, f"{name}/attn/c_proj"), f"{name}/ln_2")
        gelu = graph.add("FastGelu", [graph.project(h, f"{name}/mlp/c_fc")], f"{name}/gelu", MICROSOFT)
        y = graph.project(gelu, f"{name}/mlp/c_proj")
        if layer + 1 < hparams.n_layer:
            x, h = graph.add_norm(x, y, f"h{layer + 1}/ln_1")
    # Only the newest position goes through the output head, the largest matrix of all.
    x = graph.add("Add", [x, y], "sum")
    newest = graph.add("Gather", [x, graph.constant("newest", np.array(-1, np.int64))], "last_hidden", axis=1)
    graph.unembed(graph.norm(newest, "ln_f"))
    return as_model(graph, hparams)


def as_model(graph: GraphBuilder, hparams: Hparams) -> onnx.ModelProto:
    cache: list[str | int | None] = ["rows", hparams.n_head, "capacity", hparams.n_embd // hparams.n_head]
    info = helper.make_tensor_value_info
    inputs = [info("tokens", TensorProto.INT64, ["rows", "n"]), info("positions", TensorProto.INT64, ["n"])]
    inputs += [info("last", TensorProto.INT32, ["rows"]), info("total", TensorProto.INT32, [])]
    outputs = [info("logits", TensorProto.FLOAT, ["rows", hparams.n_vocab])]
    for layer in range(hparams.n_layer):
        for part in ("key", "value"):
            inputs.append(info(f"past_{part}_{layer}", TensorProto.FLOAT, cache))
            outputs.append(info(f"{part}_{layer}", TensorProto.FLOAT, cache))
    body = helper.make_graph(graph.nodes, "gpt2", inputs, outputs, graph.constants)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(body, opset_imports=opsets, ir_version=10, producer_name="gpt-2-cloud-run")


def write_graph(model: onnx.ModelProto, path: Path, data: Path) -> None:
    """Write the graph to `path` and its large constants to `data`, equal ones once. Removes them from `model`."""
    offsets: dict[bytes, int] = {}
    with data.open("wb") as file:
        for constant in model.graph.initializer:
            content = constant.raw_data
            if len(content) < INLINE_BYTES:
                continue
            if content not in offsets:
                offsets[content] = file.seek(-(-file.tell() // PAGE) * PAGE)
                file.write(content)
            set_external_data(constant, data.name, offsets[content], len(content))
            constant.ClearField("raw_data")
    path.write_bytes(model.SerializeToString())
