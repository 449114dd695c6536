"""ONNX's messages as plain Python: what onnx_load.py needs of a file, checked.

Nothing in an ONNX file is a program, but it can lie: a tensor that claims more elements than it brings, weights that lie in
another file of the author's choice ("external data"), a graph within a node within a graph.  Such files are refused here.
Protobuf makes an object of a hundred bytes of an empty message of two, so before it may, what is no weight is measured.

Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from dataclasses import dataclass
from math import prod

import numpy as np

from .damage import Damaged, Refused, text
from .elements import decode, stored_dtype

LARGEST, BESIDES, NODES, AXES = 2 ** 31 - 1, 4 << 20, 100_000, 32          # bytes of a file, and of it beside the weights
OPSETS = range(7, 25)
ELEMENTS = {1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16",
            11: "float64", 12: "uint32", 13: "uint64", 16: "bfloat16"}
FIELDS = {"float32": "float_data", "float64": "double_data", "int64": "int64_data", "int32": "int32_data"}
INT, FLOAT, STRING, TENSOR, FLOATS, INTS = 2, 1, 3, 4, 6, 7               # AttributeProto.AttributeType


@dataclass
class Step:
    """One node: inputs are names, "" for one that was left out, and so are the outputs, one or more."""

    kind: str
    name: str
    inputs: tuple
    outputs: tuple
    attributes: dict


@dataclass
class Program:
    """A graph: names of its inputs with their shapes, constants and weights {name: array}, steps, names of its outputs."""

    inputs: dict
    weights: dict
    steps: list
    outputs: list
    opset: int


def parse(content):
    """The Program in the bytes of a file."""
    import onnx
    from google.protobuf.message import DecodeError
    if len(content) > LARGEST:
        raise Refused(f"it has {len(content)} bytes, more than an ONNX file can have")
    besides = len(content) - weight_bytes(content, 0, len(content))
    if besides > BESIDES:
        raise Refused(f"it has {besides} bytes besides its weights, and {BESIDES} are read")
    try:
        model = onnx.ModelProto.FromString(content)
    except DecodeError as error:
        raise Damaged(f"it is no message of protobuf ({text(str(error))})") from error
    return program_of(model)


def program_of(model):
    """The Program in a message."""
    opset = opset_of(model)
    graph = model.graph
    if not graph.node or not graph.output:
        raise Damaged("it has no graph, or one without nodes or outputs")
    results = sum(max(1, len(node.output)) for node in graph.node)
    if results > NODES or model.functions or model.training_info or graph.sparse_initializer:
        raise Refused(f"it has functions, sparse weights, a part for training or more than {NODES} nodes or results")
    weights = {}
    for tensor in graph.initializer:
        if word(tensor.name) in weights or not tensor.name:
            raise Damaged(f"its weight {text(tensor.name)} is there twice, or has no name")
        weights[tensor.name] = array_of(tensor)
    inputs = {word(value.name): shape_of(value) for value in graph.input if value.name not in weights}
    outputs = [word(value.name) for value in graph.output]
    steps = [step_of(node) for node in graph.node]
    check_names(inputs, weights, steps, outputs)
    return Program(inputs, weights, steps, outputs, opset)


def word(name):
    """A name, which protobuf gives as bytes where it is no text."""
    if not isinstance(name, str):
        raise Damaged(f"a name in it is no text, {text(repr(name))}")
    return name


# Numbers of the fields that hold messages, and of those that hold elements, in onnx.proto.
INSIDE = {"model": {7: "graph"}, "graph": {1: "node", 5: "tensor"}, "node": {5: "attribute"}, "attribute": {5: "tensor"}}
ELEMENT_FIELDS = {4, 5, 7, 9, 10, 11}


def weight_bytes(content, place, stop, kind="model"):
    """How many bytes of a message are elements of tensors; counts up to where the message is damaged."""
    total = 0
    while place < stop:
        tag, place = varint(content, place, stop)
        wire, field = tag & 7, tag >> 3
        if wire == 2:                                     # so many bytes: a message, a string, packed numbers
            size, place = varint(content, place, stop)
            end = min(place + size, stop)
            inner = INSIDE.get(kind, {}).get(field)
            if inner:
                total += weight_bytes(content, place, end, inner)
            elif kind == "tensor" and field in ELEMENT_FIELDS:
                total += end - place
            place = end
        elif wire == 0:
            _, place = varint(content, place, stop)
        else:
            place += {1: 8, 5: 4}.get(wire, 0)
    return total


def varint(content, place, stop):
    """A number in protobuf's form, 7 bits in a byte, and the place behind it."""
    value = shift = 0
    while place < stop:
        byte = content[place]
        value, shift, place = value | (byte & 127) << shift, shift + 7, place + 1
        if byte < 128 or shift > 63:
            break
    return value, place


def opset_of(model):
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if len(versions) != 1 or versions[0] not in OPSETS:
        raise Refused(f"it needs opset {versions}, and {OPSETS[0]} to {OPSETS[-1]} are known")
    return versions[0]


def shape_of(value):
    """The shape of an input, None for an axis that is open."""
    dims = value.type.tensor_type.shape.dim
    return tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in dims)


def array_of(tensor):
    """The array of a tensor, if it brings as many elements as it claims."""
    name, sizes = text(tensor.name), tuple(tensor.dims)
    if tensor.data_location or len(tensor.external_data):
        raise Refused(f"its weight {name} lies in another file")
    if tensor.data_type not in ELEMENTS or len(sizes) > AXES or any(size < 0 for size in sizes):
        raise Damaged(f"its weight {name} has elements of type {tensor.data_type} or an impossible shape")
    element = ELEMENTS[tensor.data_type]
    if tensor.raw_data:
        stored = np.frombuffer(tensor.raw_data, np.uint8)
        itemsize = stored_dtype(element).itemsize
        stored = stored.view(stored_dtype(element)) if len(stored) % itemsize == 0 else stored[:0]
    else:
        field = getattr(tensor, FIELDS.get(element, "int32_data"))
        # smaller types travel as 32-bit integers
        integers = np.array(field, np.float64 if element.startswith("float") and element in FIELDS else np.int64)
        stored = integers.astype(element) if element in FIELDS else packed(integers, element, name)
    if len(stored) != prod(sizes):
        raise Damaged(f"its weight {name} of shape {sizes} brings {len(stored)} elements"[:300])
    return decode(stored, element).reshape(sizes)


def packed(integers, element, name):
    """Elements of 8 or 16 bits (and 0 elements of others) that were written as integers."""
    if len(integers) and element in ("uint32", "uint64"):
        raise Refused(f"its weight {name} has elements of type {element} that are not packed")
    return integers.astype(np.uint64).astype(f"u{stored_dtype(element).itemsize}").view(stored_dtype(element))


def step_of(node):
    kind, outputs = word(node.op_type), [word(name) for name in node.output]
    while outputs and not outputs[-1]:
        outputs.pop()                                     # left out
    if node.domain not in ("", "ai.onnx"):
        raise Refused(f"its node {text(kind)} is of the domain {text(node.domain)}, which is not ONNX's own")
    if not outputs or not all(outputs):
        raise Refused(f"its node {text(kind)} has no first output, or leaves one out before another")
    attributes = {}
    for attribute in node.attribute:
        values = {INT: attribute.i, FLOAT: attribute.f, STRING: attribute.s, INTS: list(attribute.ints),
                  FLOATS: list(attribute.floats)}
        if attribute.type == TENSOR:
            attributes[word(attribute.name)] = array_of(attribute.t)
        elif attribute.type in values:
            value = values[attribute.type]
            attributes[word(attribute.name)] = value.decode("latin-1") if isinstance(value, bytes) else value
        else:
            raise Refused(f"its node {text(kind)} has an attribute {text(attribute.name)} of a kind that is not read")
    return Step(kind, word(node.name) or outputs[0], tuple(map(word, node.input)), tuple(outputs), attributes)


def check_names(inputs, weights, steps, outputs):
    """Every name is made once, before it is used."""
    known = {*inputs, *weights}
    for step in steps:
        for name in step.inputs:
            if name and name not in known:
                raise Damaged(f"its node {text(step.name)} uses {text(name)} before anything makes it")
        for name in step.outputs:
            if name in known:
                raise Damaged(f"its node {text(step.name)} makes {text(name)}, which is there already")
            known.add(name)
    for name in outputs:
        if name not in known:
            raise Damaged(f"nothing makes its output {text(name)}")
