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

Layer norms are LayerNormalization after Add: the runtime's SkipLayerNormalization takes longer for many tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper

from app.engine.bundle import Hparams
from app.engine.slot_memory import cache_names
from finetune.checkpoint import Array
from finetune.export.graph_builder import MICROSOFT, GraphBuilder
from finetune.export.projections import Projection, Projections
from finetune.export.quantization import RoundedBlocks, block_size, is_small, quantize

EPSILON = 1e-5


class GraphOptions(NamedTuple):
    """How a graph computes."""

    bits: int
    """Of the weights: 32, 8 or 4."""
    projection: Projection
    rounded: Mapping[str, RoundedBlocks]
    """Weights that are rounded already, by the name of the projection."""


class Gpt2Graph:
    """Builds the graph of one model."""

    def __init__(self, hparams: Hparams, weights: Mapping[str, Array], options: GraphOptions) -> None:
        self.hparams = hparams
        self.weights = weights
        self.options = options
        self.small = is_small(weights)
        self.graph = GraphBuilder()
        self.projections = Projections(self.graph)

    def project(self, x: str, name: str) -> str:
        """The product x @ weight + bias of the projection `name`, whose weight is [1, inputs, outputs]."""
        return self.product(x, name, self.weights[f"{name}/w"][0], self.weights[f"{name}/b"])

    def product(self, x: str, name: str, weight: Array, bias: Array | None) -> str:
        kind = self.options.projection
        if kind == "float":
            return self.projections.multiply(x, self.graph.constant(f"{name}.w", weight), name, bias)
        if kind == "columns":
            return self.projections.multiply_columns(x, name, weight, bias, of_gelu=x.endswith("/gelu"))
        rounded = self.options.rounded.get(name) or self.round(weight)
        if kind == "restored":
            return self.projections.multiply_restored(x, name, rounded, bias)
        return self.projections.multiply_blocks(x, name, rounded, bias)

    def round(self, weight: Array) -> RoundedBlocks:
        return quantize(weight.T, self.options.bits, block_size(len(weight), self.small))

    def embed(self) -> str:
        """Token embedding plus position embedding, [tokens, n_embd]."""
        graph = self.graph
        positions = graph.add("Gather", [graph.constant("wpe", self.weights["wpe"]), "positions"], "position")
        return graph.add("Add", [self.embed_tokens(self.weights["wte"]), positions], "h")

    def embed_tokens(self, wte: Array) -> str:
        graph = self.graph
        if self.options.bits == 32:
            return graph.add("Gather", [graph.constant("wte", wte), "tokens"], "embedding")
        # 8 bits even in a 4-bit bundle: a lookup reads few bytes, so rounding harder would save no time.
        block = self.embedding_block
        rounded = quantize(wte, 8, block)
        values = rounded.values.reshape(len(wte), -1)[:, : wte.shape[1]]
        operands = [graph.constant("wte.q", values), "tokens", graph.constant("wte.s", rounded.scales)]
        layout: dict[str, Any] = {"bits": 8, "block_size": block, "gather_axis": 0, "quantize_axis": 1}
        return graph.add("GatherBlockQuantized", operands, "embedding", MICROSOFT, **layout)

    def block(self, x: str, layer: int) -> str:
        """The residual stream after one layer."""
        graph, name = self.graph, f"h{layer}"
        attention = self.attend(self.project(self.norm(x, f"{name}/ln_1"), f"{name}/attn/c_attn"), layer)
        x = graph.add("Add", [x, self.project(attention, f"{name}/attn/c_proj")], f"{name}/middle")
        y = self.project(self.gelu(self.norm(x, f"{name}/ln_2"), f"{name}/mlp/c_fc"), f"{name}/mlp/c_proj")
        return graph.add("Add", [x, y], f"{name}/sum")

    def gelu(self, x: str, name: str) -> str:
        """GELU of a projection."""
        graph, output = self.graph, f"{name.split('/', maxsplit=1)[0]}/gelu"
        if self.options.projection == "blocks":
            return graph.add("FastGelu", [self.project(x, name)], output, MICROSOFT)
        # FastGelu adds the bias as well, which saves a node.
        product = self.product(x, name, self.weights[f"{name}/w"][0], None)
        return graph.add(
            "FastGelu", [product, graph.constant(f"{name}.b", self.weights[f"{name}/b"])], output, MICROSOFT
        )

    def attend(self, qkv: str, layer: int) -> str:
        return self.attention(qkv, layer, "", "last", "total")

    def attention(self, qkv: str, layer: int, prefix: str, last: str, total: str, **more: Any) -> str:
        """GroupQueryAttention of [texts, tokens, 3 * n_embd] over the caches whose names begin with `prefix`."""
        caches = [f"{prefix}past_key_{layer}", f"{prefix}past_value_{layer}"]
        scales = more.pop("scales", [])
        attributes = {"num_heads": self.hparams.n_head, "kv_num_heads": self.hparams.n_head} | more
        outputs = (f"{prefix}key_{layer}", f"{prefix}value_{layer}")
        inputs = [qkv, "", "", *caches, last, total, *scales]
        return self.graph.add("GroupQueryAttention", inputs, f"h{layer}/{prefix}attn", MICROSOFT, outputs, **attributes)

    def norm(self, x: str, name: str) -> str:
        graph = self.graph
        gain_and_bias = [graph.constant(f"{name}.{part}", self.weights[f"{name}/{part}"]) for part in ("g", "b")]
        return graph.add("LayerNormalization", [x, *gain_and_bias], name, axis=-1, epsilon=EPSILON)

    @property
    def embedding_block(self) -> int:
        """That of the output head, so that both are the same bytes."""
        return block_size(self.hparams.n_embd, self.small)

    def unembed(self, x: str) -> str:
        """Logits [picked, n_vocab]."""
        if self.options.projection == "float":
            return self.graph.add("Gemm", [x, "wte"], "logits", transB=1)
        return self.product(x, "logits", self.weights["wte"].T, None)

    def pick(self, x: str) -> str:
        """The tokens whose logits are wanted. Only they go through the output head, the largest matrix of all."""
        return self.graph.add("Gather", [x, self.graph.constant("newest", np.array(-1, np.int64))], "picked", axis=1)

    def build(self) -> onnx.ModelProto:
        x = self.embed()
        for layer in range(self.hparams.n_layer):
            x = self.block(x, layer)
        self.unembed(self.norm(self.pick(x), "ln_f"))
        return self.graph.model(*self.interface())

    def interface(self) -> tuple[list[onnx.ValueInfoProto], list[onnx.ValueInfoProto]]:
        """The graph's inputs and outputs."""
        info = helper.make_tensor_value_info
        inputs = [info("tokens", TensorProto.INT64, ["rows", "n"]), info("positions", TensorProto.INT64, ["n"])]
        inputs += [info("last", TensorProto.INT32, ["rows"]), info("total", TensorProto.INT32, [])]
        outputs = [info("logits", TensorProto.FLOAT, ["rows", self.hparams.n_vocab])]
        past, present = self.caches("", "rows", TensorProto.FLOAT)
        return inputs + past, outputs + present

    def caches(
        self, prefix: str, texts: str | int, kind: int
    ) -> tuple[list[onnx.ValueInfoProto], list[onnx.ValueInfoProto]]:
        """KV caches as inputs and as outputs."""
        info, hparams = helper.make_tensor_value_info, self.hparams
        shape = [texts, hparams.n_head, f"{prefix}capacity", hparams.n_embd // hparams.n_head]
        names = cache_names(hparams)
        past = [info(f"{prefix}past_{name}", kind, shape) for name in names]
        return past, [info(f"{prefix}{name}", kind, shape) for name in names]


def build_graph(
    hparams: Hparams, weights: Mapping[str, Array], bits: int, rounded: Mapping[str, RoundedBlocks] | None = None
) -> onnx.ModelProto:
    """The graph that the module's docstring describes. `bits` is 32 (exact), 8 or 4.

    `rounded` has weights that were rounded with more care than `quantize` takes, by the name of the projection.
    """
    kind: Projection = "float" if bits == 32 else "restored" if bits == 8 and is_small(weights) else "blocks"
    return Gpt2Graph(hparams, weights, GraphOptions(bits, kind, rounded or {})).build()
