"""GPT-2 as an ONNX graph, built straight from a checkpoint's arrays.

Inputs   tokens int64 [rows, n], positions int64 [n], and, for the attention over a static cache,
         last int32 [rows] (the index of the newest position) and total int32 scalar (positions in the cache);
         past_key_N, past_value_N float32 [rows, n_head, capacity, n_embd / n_head] for each layer
Outputs  logits float32 [rows, n_vocab] of the newest position; key_N, value_N, to be bound to the memory of past_*

`com.microsoft.GroupQueryAttention` writes the new keys and values into the cache in place and masks causally.
At 8 and 4 bits every projection of a large model is a `MatMulNBits` with one scale per block of weights, and activations
are rounded to 8 bits on the fly (accuracy_level 4), which is what makes it fast. Of a model that is small enough for a
processor's cache only the stored weights are rounded, more finely, and restored when it is loaded: reading them costs
next to nothing there, while rounded activations are most of the error. The token embedding and the output head are one
matrix in GPT-2 and two constants in a rounded graph, because the runtime repacks the head; where they are the same bytes,
the file has them once, and of the embedding only the rows in use ever enter memory.
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

OPSET = 17
MICROSOFT = "com.microsoft"
EPSILON = 1e-5
SMALL_BYTES = 32 * 2**20
# What is larger is not in the graph's file but in the other one, which is mapped into memory, a page at a time.
INLINE_BYTES = 1024
PAGE = 4096


def quantize(weight: Array, bits: int, block: int) -> tuple[NDArray[np.uint8], Array]:
    """Round a [rows, columns] matrix to `bits` per weight, symmetric, with one scale for each `block` of a row.

    Returns the packed weights [rows, blocks, block * bits / 8] and the scales [rows, blocks], as MatMulNBits has them.
    """
    rows, columns = weight.shape
    blocks = -(-columns // block)
    padded = np.zeros((rows, blocks * block), np.float32)
    padded[:, :columns] = weight
    padded = padded.reshape(rows, blocks, block)
    zero = 1 << (bits - 1)
    # The end of the range that reaches one step further (-128, -8) is given to the largest weight of the block.
    extreme = np.take_along_axis(padded, np.abs(padded).argmax(axis=-1, keepdims=True), axis=-1)
    scales = (extreme / -zero).astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.where(scales == 0, 0, np.rint(padded / scales))
    values: NDArray[np.uint8] = (np.clip(steps, -zero, zero - 1) + zero).astype(np.uint8)
    if bits == 4:
        values = np.bitwise_or(values[..., 0::2], values[..., 1::2] << np.uint8(4))
    return values, scales[..., 0]


class Graph:
    """Nodes and constants of one model under construction."""

    def __init__(self, bits: int, small: bool) -> None:
        self.bits = bits
        self.small = small
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
        self.nodes.append(helper.make_node(kind, inputs, [output, *more], name=output, domain=domain, **attributes))
        return output

    def project(self, x: str, name: str, weight: Array, bias: Array) -> str:
        """The product x @ weight + bias, with `weight` [inputs, outputs]."""
        if self.bits != 32:
            return self.multiply_rounded(x, name, weight, bias)
        return self.multiply(x, self.constant(f"{name}.w", weight), name, bias)

    def multiply(self, x: str, matrix: str, name: str, bias: Array | None) -> str:
        product = self.add("MatMul", [x, matrix], name if bias is None else f"{name}.product")
        return product if bias is None else self.add("Add", [product, self.constant(f"{name}.b", bias)], name)

    def multiply_rounded(self, x: str, name: str, weight: Array, bias: Array | None) -> str:
        inputs, outputs = weight.shape
        block = self.block_size(inputs)
        values, scales = quantize(weight.T, self.bits, block)
        if self.small and self.bits == 8:
            return self.multiply(x, self.restore(name, values, scales, inputs), name, bias)
        operands = [x, self.constant(f"{name}.q", values), self.constant(f"{name}.s", scales)]
        if bias is not None:
            operands += ["", "", self.constant(f"{name}.b", bias)]
        shape: dict[str, Any] = {"K": inputs, "N": outputs, "bits": self.bits, "block_size": block}
        return self.add("MatMulNBits", operands, name, MICROSOFT, **shape, accuracy_level=4)

    def restore(self, name: str, values: NDArray[np.uint8], scales: Array, inputs: int) -> str:
        """The float32 matrix [inputs, outputs] that the rounded weights stand for; the runtime computes it once."""
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

    def embed(self, tokens: str, wte: Array) -> str:
        if self.bits == 32:
            return self.add("Gather", [self.constant("wte", wte), tokens], "embedding")
        # Eight bits also in a 4-bit bundle: a lookup costs no bandwidth, so there is nothing to win by rounding it harder.
        block = self.block_size(wte.shape[1])
        values, scales = quantize(wte, 8, block)
        values = values.reshape(len(wte), -1)[:, : wte.shape[1]]
        operands = [self.constant("wte.q", values), tokens, self.constant("wte.s", scales)]
        layout: dict[str, Any] = {"bits": 8, "block_size": block, "gather_axis": 0, "quantize_axis": 1}
        return self.add("GatherBlockQuantized", operands, "embedding", MICROSOFT, **layout)

    def unembed(self, x: str, wte: Array) -> str:
        if self.bits == 32:
            return self.add("Gemm", [x, "wte"], "logits", transB=1)
        return self.multiply_rounded(x, "logits", wte.T, None)

    def block_size(self, inputs: int) -> int:
        """Weights that share a scale: 128 (least memory, fastest), or 32 in small models and rows that are no multiple."""
        return 32 if self.small or inputs % 128 else 128

    def norm(self, x: str, name: str, weights: Mapping[str, Array]) -> str:
        gain, bias = self.constant(f"{name}.g", weights[f"{name}/g"]), self.constant(f"{name}.b", weights[f"{name}/b"])
        return self.add("LayerNormalization", [x, gain, bias], name, axis=-1, epsilon=EPSILON)

    def add_norm(self, x: str, y: str, name: str, weights: Mapping[str, Array]) -> tuple[str, str]:
        """The residual sum x + y and its normalization, in one pass. Returns (sum, normalized)."""
        gain, bias = self.constant(f"{name}.g", weights[f"{name}/g"]), self.constant(f"{name}.b", weights[f"{name}/b"])
        self.add(
            "SkipLayerNormalization", [x, y, gain, bias], name, MICROSOFT, ("", "", f"{name}.sum"), epsilon=EPSILON
        )
        return f"{name}.sum", name


def build(hparams: Hparams, weights: Mapping[str, Array], bits: int) -> onnx.ModelProto:
    """The graph of the module's docstring. `bits` is 32 (exact), 8 or 4."""
    graph = Graph(bits, small=sum(weight.nbytes for weight in weights.values()) <= SMALL_BYTES)
    tokens, positions = "tokens", "positions"
    table = graph.constant("wpe", weights["wpe"])
    x = graph.add(
        "Add", [graph.embed(tokens, weights["wte"]), graph.add("Gather", [table, positions], "position")], "h"
    )
    h = graph.norm(x, "h0/ln_1", weights)
    for layer in range(hparams.n_layer):
        name = f"h{layer}"

        def project(x: str, part: str, name: str = name) -> str:
            return graph.project(x, f"{name}/{part}", weights[f"{name}/{part}/w"][0], weights[f"{name}/{part}/b"])

        qkv = project(h, "attn/c_attn")
        attention = graph.add(
            "GroupQueryAttention",
            [qkv, "", "", f"past_key_{layer}", f"past_value_{layer}", "last", "total"],
            f"{name}/attn",
            MICROSOFT,
            (f"key_{layer}", f"value_{layer}"),
            num_heads=hparams.n_head,
            kv_num_heads=hparams.n_head,
        )
        x, h = graph.add_norm(x, project(attention, "attn/c_proj"), f"{name}/ln_2", weights)
        gelu = graph.add("FastGelu", [project(h, "mlp/c_fc")], f"{name}/gelu", MICROSOFT)
        y = project(gelu, "mlp/c_proj")
        if layer + 1 < hparams.n_layer:
            x, h = graph.add_norm(x, y, f"h{layer + 1}/ln_1", weights)
    # Only the newest position is asked for: the rest never meets the output head, the largest matrix of all.
    x = graph.add("Add", [x, y], "sum")
    newest = graph.add("Gather", [x, graph.constant("newest", np.array(-1, np.int64))], "last_hidden", axis=1)
    graph.unembed(graph.norm(newest, "ln_f", weights), weights["wte"])
    return finish(graph, hparams)


def finish(graph: Graph, hparams: Hparams) -> onnx.ModelProto:
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


def save(model: onnx.ModelProto, path: Path, data: Path) -> None:
    """Write the graph to one file and its constants to another beside it, equal ones once. Takes them out of `model`."""
    places: dict[bytes, int] = {}
    with data.open("wb") as file:
        for constant in model.graph.initializer:
            content = constant.raw_data
            if len(content) < INLINE_BYTES:
                continue
            if content not in places:
                places[content] = file.seek(-(-file.tell() // PAGE) * PAGE)
                file.write(content)
            set_external_data(constant, data.name, places[content], len(content))
            constant.ClearField("raw_data")
    path.write_bytes(model.SerializeToString())
