"""The products of a graph: a matrix of activations times weights that are exact or rounded, in one of four ways.

float     the weights as they are
restored  weights rounded in blocks, restored to float32 when the model is loaded; for models that a processor's cache holds
blocks    MatMulNBits: weights rounded in blocks; it rounds activations as well (accuracy_level 4), which makes it fast
columns   MatMulIntegerToFloat: weights rounded by column, activations by token, both to 8 bits. Sums of integers are exact,
          so that a token's result depends neither on the other tokens of a pass nor on their number
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from finetune.checkpoint import Array
from finetune.export.graph_builder import MICROSOFT, GraphBuilder
from finetune.export.quantization import RoundedBlocks, quantize_columns

Projection = Literal["float", "restored", "blocks", "columns"]
STEPS = 127
GELU_ZERO = 24
"""Where zero lies among the 256 steps of GELU's output, which is never below -0.1701 and has no largest value."""
GELU_LEAST = 0.1701


class Projections:
    """Adds products to a graph."""

    def __init__(self, graph: GraphBuilder) -> None:
        self.graph = graph
        self._rounded: dict[str, tuple[str, str]] = {}

    def multiply(self, x: str, matrix: str, name: str, bias: Array | None) -> str:
        """The product of x [tokens, inputs] and a matrix of float32."""
        graph = self.graph
        product = graph.add("MatMul", [x, matrix], name if bias is None else f"{name}.product")
        return product if bias is None else graph.add("Add", [product, graph.constant(f"{name}.b", bias)], name)

    def multiply_restored(self, x: str, name: str, rounded: RoundedBlocks, bias: Array | None) -> str:
        return self.multiply(x, self._restore(name, rounded), name, bias)

    def multiply_blocks(self, x: str, name: str, rounded: RoundedBlocks, bias: Array | None) -> str:
        graph = self.graph
        operands = [x, graph.constant(f"{name}.q", rounded.values), graph.constant(f"{name}.s", rounded.scales)]
        operands.append("" if rounded.zeros is None else graph.constant(f"{name}.z", rounded.zeros))
        if bias is not None:
            operands += ["", graph.constant(f"{name}.b", bias)]
        while not operands[-1]:
            operands.pop()
        shape: dict[str, Any] = {"K": rounded.inputs, "N": len(rounded.values), "bits": rounded.bits}
        return graph.add("MatMulNBits", operands, name, MICROSOFT, **shape, block_size=rounded.block, accuracy_level=4)

    def multiply_columns(self, x: str, name: str, weight: Array, bias: Array | None, *, of_gelu: bool = False) -> str:
        """The product of activations that are rounded by token and weights [inputs, outputs] that are rounded by column."""
        graph = self.graph
        steps, scales = self._round_gelu(x) if of_gelu else self._round(x)
        values, column_scales = quantize_columns(weight)
        zero = graph.constant(
            "gelu_zero" if of_gelu else "zero", np.array(GELU_ZERO if of_gelu else STEPS + 1, np.uint8)
        )
        operands = [steps, graph.constant(f"{name}.q", values), graph.constant("one", np.array(1, np.float32))]
        operands += [graph.constant(f"{name}.s", column_scales), zero]
        product = graph.add("MatMulIntegerToFloat", operands, f"{name}.steps", MICROSOFT)
        scaled = graph.add("Mul", [product, scales], name if bias is None else f"{name}.product")
        return scaled if bias is None else graph.add("Add", [scaled, graph.constant(f"{name}.b", bias)], name)

    def _round(self, x: str) -> tuple[str, str]:
        """Activations as steps of uint8 around 128, and each token's scale [tokens, 1]."""
        graph = self.graph
        if x not in self._rounded:
            most = graph.add("ReduceMax", [graph.add("Abs", [x], f"{x}.abs")], f"{x}.most", axes=[-1], keepdims=1)
            share = graph.constant("step", np.array(1 / STEPS, np.float32))
            scale = graph.add("Mul", [most, share], f"{x}.scale")
            self._rounded[x] = self._steps(x, scale, "zeros", STEPS + 1), scale
        return self._rounded[x]

    def _round_gelu(self, x: str) -> tuple[str, str]:
        graph = self.graph
        most = graph.add("ReduceMax", [x], f"{x}.most", axes=[-1], keepdims=1)
        share = graph.constant("gelu_step", np.array(1 / (255 - GELU_ZERO), np.float32))
        least = graph.constant("gelu_least", np.array(GELU_LEAST / GELU_ZERO, np.float32))
        scale = graph.add("Max", [graph.add("Mul", [most, share], f"{x}.share"), least], f"{x}.scale")
        return self._steps(x, scale, "gelu_zeros", GELU_ZERO), scale

    def _steps(self, x: str, scale: str, zeros: str, zero: int) -> str:
        graph = self.graph
        flat = graph.add("Reshape", [scale, graph.integers("flat", [-1])], f"{scale}s")
        points = self._zero_points("picked" if x == "ln_f" else "tokens", zeros, zero)
        return graph.add("QuantizeLinear", [x, flat, points], f"{x}.steps", axis=0)

    def _zero_points(self, of: str, name: str, zero: int) -> str:
        """The zero point of each token, made once for all layers."""
        graph, output = self.graph, f"{of}.{name}"
        if all(node.name != output for node in graph.nodes):
            size = graph.add("Shape", ["pick" if of == "picked" else "tokens"], f"{output}.size")
            graph.add("Expand", [graph.constant(f"{name}.point", np.array([zero], np.uint8)), size], output)
        return output

    def _restore(self, name: str, rounded: RoundedBlocks) -> str:
        """The float32 matrix [inputs, outputs] of 8-bit weights. The runtime computes it once, when it loads the model."""
        graph = self.graph
        values: NDArray[np.uint8] = rounded.values
        steps = graph.add("Cast", [graph.constant(f"{name}.q", values)], f"{name}.steps", to=TensorProto.FLOAT)
        centred = graph.add("Sub", [steps, graph.constant("centre", np.array(128, np.float32))], f"{name}.centred")
        scales = graph.constant(f"{name}.s", rounded.scales[..., np.newaxis])
        scaled = graph.add("Mul", [centred, scales], f"{name}.scaled")
        rows = graph.add("Reshape", [scaled, graph.integers(f"{name}.shape", [len(values), -1])], f"{name}.rows")
        bounds = [
            graph.integers(f"{name}.{part}", [n]) for part, n in (("from", 0), ("to", rounded.inputs), ("axis", 1))
        ]
        unpadded = graph.add("Slice", [rows, *bounds], f"{name}.unpadded")
        return graph.add("Transpose", [unpadded], f"{name}.w", perm=[1, 0])
