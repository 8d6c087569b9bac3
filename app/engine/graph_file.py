"""The shapes that an ONNX file declares, read without ONNX Runtime: those of its inputs, its outputs and its embeddings.

A message of protocol buffers is one field after the other, each with its number in front:
https://protobuf.dev/programming-guides/encoding/. What the numbers mean is in ONNX's onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

FLOAT, INT8, INT32, INT64 = 1, 3, 6, 7
"""ONNX's numbers of element types."""
ANY = -1
"""A dimension that a graph leaves open."""
EMBEDDINGS = (b"wpe", b"wte", b"wte.q")
"""The names of the constants that have a row for each position or each token."""
VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5
MAX_VARINT_BYTES = 10


class Tensor(NamedTuple):
    """An input or an output: its element type, and its shape with ANY for what is open."""

    kind: int
    shape: tuple[int, ...]


@dataclass
class GraphFile:
    """Inputs, outputs and the shapes of the embeddings, by their names."""

    inputs: dict[str, Tensor] = field(default_factory=dict)
    outputs: dict[str, Tensor] = field(default_factory=dict)
    embeddings: dict[str, tuple[int, ...]] = field(default_factory=dict)


def read_graph_file(content: bytes) -> GraphFile:
    """What a model.onnx declares. Raises ValueError where it is no such file."""
    found = GraphFile()
    for number, graph in fields(content):
        for part, value in fields(message(graph)) if number == 7 else ():
            if part == 5 and any(name in message(value) for name in EMBEDDINGS):
                name, shape = read_constant(message(value))
                found.embeddings[name] = shape
            elif part in (11, 12):
                name, tensor = read_tensor(message(value))
                (found.inputs if part == 11 else found.outputs)[name] = tensor
    return found


def read_constant(content: bytes) -> tuple[str, tuple[int, ...]]:
    name, shape = "", list[int]()
    for number, value in fields(content):
        if number == 1:
            shape += [value] if isinstance(value, int) else varints(value)
        elif number == 8:
            name = text(value)
    return name, tuple(shape)


def read_tensor(content: bytes) -> tuple[str, Tensor]:
    name, kind, shape = "", 0, list[int]()
    for number, value in fields(content):
        if number == 1:
            name = text(value)
        for _, tensor in fields(message(value)) if number == 2 else ():
            for inner, part in fields(message(tensor)):
                if inner == 1 and isinstance(part, int):
                    kind = part
                elif inner == 2:
                    shape += [dimension(message(each)) for _, each in fields(message(part))]
    return name, Tensor(kind, tuple(shape))


def dimension(content: bytes) -> int:
    """A dimension's size, ANY where it has a name."""
    return next((value for number, value in fields(content) if number == 1 and isinstance(value, int)), ANY)


def fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message: their numbers with a whole number or bytes. Raises ValueError."""
    at, size = 0, len(content)
    while at < size:
        key, at = varint(content, at)
        wire = key & 7
        if wire == VARINT:
            number, at = varint(content, at)
            yield key >> 3, number
            continue
        if wire == LENGTH:
            length, at = varint(content, at)
        elif wire in (EIGHT_BYTES, FOUR_BYTES):
            length = 8 if wire == EIGHT_BYTES else 4
        else:
            raise ValueError(f"it has a field of the unknown kind {wire}")
        if at + length > size:
            raise ValueError("it is cut off")
        yield key >> 3, content[at : at + length]
        at += length


def varint(content: bytes, at: int) -> tuple[int, int]:
    """A whole number of 7 bits a byte, and where it ends. Raises ValueError."""
    if at < len(content) and content[at] < 0x80:  # Most are, and this is read hundreds of times.
        return content[at], at + 1
    number = 0
    for place in range(MAX_VARINT_BYTES):
        if at + place == len(content):
            break
        byte = content[at + place]
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number, at + place + 1
    raise ValueError("it is cut off")


def varints(content: bytes) -> list[int]:
    """Whole numbers one after the other."""
    numbers, at = list[int](), 0
    while at < len(content):
        number, at = varint(content, at)
        numbers.append(number)
    return numbers


def message(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("it has a number where a message should be")
    return value


def text(value: int | bytes) -> str:
    return str(message(value), "utf-8")
