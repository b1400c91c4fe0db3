"""A given ONNX graph behind one input of shape (rows, 1) per field, as every compiled model has it.

What is put before it - casts, and a concatenation where it takes all columns at once - is compared
with the graph as it came, like any other compiled form.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from cd4ml.errors import InvalidInput
from cd4ml.models.graph import Graph, Input
from cd4ml.records.contract import Contract

_GIVEN = "given/"
_EXACT_IN_SINGLE = (np.float32, np.float16, np.bool_, np.object_)


def compile_graph(graph: Graph, contract: Contract) -> bytes:
    """The graph with the contract's fields as its inputs.

    Numbers go in as floats of single precision, or of double where an input takes integers
    or doubles.

    Raises:
        InvalidInput: If it takes one row at a time, or a field that the contract lacks.
    """
    import onnx
    from onnx import helper

    if graph.batch is not None:
        msg = "the graph takes one row at a time"
        raise InvalidInput(msg, hint="export it with a first dimension that may be any")
    model = onnx.compose.add_prefix(onnx.load_model_from_string(graph.data), prefix=_GIVEN)
    is_single = all(each.dtype in _EXACT_IN_SINGLE for each in graph.inputs)
    number = onnx.TensorProto.FLOAT if is_single else onnx.TensorProto.DOUBLE
    taken = _taken(graph, contract)
    texts = {name for each, names in taken for name in names if each.dtype is np.object_}
    inputs = [
        helper.make_tensor_value_info(
            name, onnx.TensorProto.STRING if name in texts else number, [None, 1]
        )
        for _, names in taken
        for name in names
    ]
    before = [node for each, names in taken for node in _before(each, names)]
    given = list(model.graph.node)
    del model.graph.input[:], model.graph.node[:]
    model.graph.input.extend(inputs)
    model.graph.node.extend([*before, *given])
    model.graph.initializer.append(helper.make_tensor(_FLAT, onnx.TensorProto.INT64, [1], [-1]))
    return bytes(model.SerializeToString(deterministic=True))


_FLAT = "cd4ml/flat"


def _taken(graph: Graph, contract: Contract) -> list[tuple[Input, tuple[str, ...]]]:
    """Each input with the fields that go into it."""
    if graph.vector is not None:
        return [(graph.vector, contract.names)]
    return [(each, (each.name,)) for each in graph.inputs]


def _before(taken: Input, names: tuple[str, ...]) -> Iterator[Any]:
    """What makes an input of its fields: cast each, then put them side by side."""
    from onnx import helper

    to, target = helper.np_dtype_to_tensor_dtype(np.dtype(taken.dtype)), f"{_GIVEN}{taken.name}"
    cast = [f"cd4ml/cast/{name}" for name in names] if taken.dtype is not np.object_ else [*names]
    if taken.dtype is not np.object_:
        for name, made in zip(names, cast, strict=True):
            yield helper.make_node("Cast", [name], [made], to=to)
    if len(taken.shape) == 1:
        yield helper.make_node("Reshape", [cast[0], _FLAT], [target])
    else:
        yield helper.make_node("Concat", cast, [target], axis=1)
