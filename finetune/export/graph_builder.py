"""The nodes and constants of an ONNX graph while it is built, and how it is written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.external_data_helper import set_external_data

OPSET = 17
MICROSOFT = "com.microsoft"
INLINE_BYTES = 1024
"""Larger constants go into the data file, which is mapped into memory, each at the start of a page."""
PAGE = 4096


class GraphBuilder:
    """Collects nodes and constants."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        """A constant. What has this name already is the same constant."""
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.asarray(value, order="C"), name)
        return name

    def integers(self, name: str, values: Sequence[int]) -> str:
        """A constant list of whole numbers, such as a shape."""
        return self.constant(name, np.array(values, np.int64))

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

    def model(self, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]) -> onnx.ModelProto:
        body = helper.make_graph(self.nodes, "gpt2", inputs, outputs, list(self.constants.values()))
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
