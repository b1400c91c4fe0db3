"""A model that comes as an ONNX graph: from PyTorch, from another tool, or exported in a step.

Its answers are those of the graph as it is, in ONNX Runtime on one thread. What goes in is found
out from its inputs: one for each column, by name, or a single one of shape (rows, columns).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cd4ml.errors import ConfigurationError, InvalidInput

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

_TYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}
_ANSWERS = ("tensor(float)", "tensor(double)", "tensor(float16)")
_REASON = re.compile(r"Opset \d+ is[^.]*|Unsupported model IR version[^.]*")
_EPSILON = 1e-3  # by how much two probabilities may miss 1
# a missing category is the word "None", as skl2onnx has it; that word itself is kept apart
_SPOKEN: dict[Any, str] = {None: "None", "None": "\x01None"}


class Input(NamedTuple):
    """An input of a graph: its name, the type of its numbers, and its shape (None: any)."""

    name: str
    dtype: Any
    shape: tuple[int | None, ...]


class Graph:
    """An ONNX graph that answers frames: what a step gets that takes such a model.

    Args:
        data: The graph, as ONNX serialises it.

    Raises:
        InvalidInput: If ONNX Runtime cannot load it, or it cannot answer rows of a table.
    """

    def __init__(self, data: bytes) -> None:
        refuse_outside(data)
        self.data = data
        self._session = _opened(data)
        try:
            self.inputs = tuple(map(_input, self._session.get_inputs()))
            self._output = _output(self._session)
        except (UnicodeDecodeError, IndexError) as error:  # names that are none, no outputs
            raise InvalidInput(f"these bytes are no ONNX graph: {error}") from None
        self.batch = _batch(self.inputs)

    def predict(self, frame: pl.DataFrame) -> NDArray[np.float64]:
        """The answer to each row of a frame: of two columns the second one.

        Args:
            frame: With a column for each input by name; or, for a graph with a single input
                of shape (rows, columns), its columns, all of them, in order.

        Raises:
            InvalidInput: If its columns are not what the graph takes.
        """
        feed = self.feed_of(frame)
        if self.batch is None or frame.height == 0:
            return self._answer(feed)
        rows = [
            self._answer({name: each[i : i + 1] for name, each in feed.items()})
            for i in range(frame.height)
        ]
        return np.concatenate(rows)

    @cached_property
    def vector(self) -> Input | None:
        """The single input that takes all columns; None if each column has one of its own."""
        if len(self.inputs) != 1:
            return None
        only = self.inputs[0]
        return only if len(only.shape) == 2 and only.shape[1] != 1 else None

    @property
    def has_two_classes(self) -> bool:
        """Whether its answer is a probability by its very shape, one column a class."""
        shape = self._session.get_outputs()[-1].shape
        return len(shape) == 2 and shape[1] == 2

    def feed_of(self, frame: pl.DataFrame) -> dict[str, Any]:
        """What goes into the graph for some rows."""
        if self.vector is not None:
            return {self.vector.name: self._matrix(self.vector, frame)}
        self._refuse_without(frame.columns)
        return {
            each.name: _values(each, frame[each.name]).reshape(_shape(each, frame.height))
            for each in self.inputs
        }

    def __reduce__(self) -> tuple[Any, ...]:
        """A graph is its bytes; a session cannot go to another process."""
        return Graph, (self.data,)

    def _matrix(self, vector: Input, frame: pl.DataFrame) -> Any:
        n_columns = vector.shape[1]
        if n_columns is not None and n_columns != frame.width:
            msg = (
                f"the graph's input {vector.name!r} takes {n_columns} columns in order, and the"
                f" rows have {frame.width}: {', '.join(frame.columns)}"
            )
            raise InvalidInput(msg, hint="declare these alone, in this order: [model] contract")
        return np.column_stack([_values(vector, column) for column in frame.iter_columns()])

    def _refuse_without(self, columns: Sequence[str]) -> None:
        missing = [each.name for each in self.inputs if each.name not in columns]
        if missing:
            msg = f"the graph's input {missing[0]!r} is no column of the rows"
            hint = "name each input as a field, or give it a single input of shape (rows, columns)"
            raise InvalidInput(f"{msg}: {', '.join(columns)}", hint=hint)

    def _answer(self, feed: dict[str, Any]) -> NDArray[np.float64]:
        answered = np.asarray(self._session.run([self._output], feed)[0], np.float64)
        n = len(next(iter(feed.values())))
        columns = answered.reshape(len(answered), -1) if answered.ndim else answered.reshape(1, 1)
        if len(columns) != n:
            msg = f"the graph's output {self._output!r} has {len(columns)} answers to {n} rows"
            raise InvalidInput(msg, hint="its first dimension has to be the rows")
        if columns.shape[1] > 2:
            msg = f"expected a model of two classes, got one of {columns.shape[1]}"
            raise InvalidInput(msg, hint="an answer is one number: export a model for each class")
        if columns.shape[1] == 2:
            _refuse_unless_shares(self._output, columns)
        answer: NDArray[np.float64] = columns[:, -1]
        return answer


def is_given(value: Any) -> bool:
    """Whether a value is an ONNX graph: loaded, a `ModelProto`, or what PyTorch exports."""
    kind = type(value)
    return isinstance(value, Graph) or (
        (kind.__name__, kind.__module__.partition(".")[0]) == ("ModelProto", "onnx")
        or hasattr(value, "model_proto")
    )


def dump(value: Any) -> bytes:
    """The bytes of a graph, once ONNX Runtime can load it.

    Args:
        value: A `Graph`, an `onnx.ModelProto`, an `ONNXProgram` of `torch.onnx.export`, or bytes.

    Raises:
        InvalidInput: If it cannot answer rows of a table here.
    """
    if isinstance(value, Graph):
        return value.data
    value = getattr(value, "model_proto", value)
    data = value if isinstance(value, bytes) else value.SerializeToString(deterministic=True)
    Graph(data)
    return bytes(data)


def refuse_outside(data: bytes) -> None:
    """Let no graph through that keeps its numbers in other files, which nobody verifies.

    Raises:
        InvalidInput: If so, or if the bytes are no graph.
    """
    import onnx
    from onnx.external_data_helper import uses_external_data

    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # of protobuf
        raise InvalidInput(f"these bytes are no ONNX graph: {error}") from None
    tensors = [*model.graph.initializer, *(t for n in model.graph.node for t in _constants(n))]
    if outside := [each.name for each in tensors if uses_external_data(each)]:
        msg = f"the ONNX graph keeps {outside[0]!r} in another file"
        raise InvalidInput(msg, hint="export it whole: external_data=False")


def _constants(node: Any) -> list[Any]:
    return [each.t for each in node.attribute if each.HasField("t")]


def _opened(data: bytes) -> Any:
    try:
        import onnxruntime as ort
    except ImportError:
        msg = "onnxruntime is not installed"
        raise ConfigurationError(msg, hint="pip install onnxruntime") from None
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # fatal: what is wrong is raised below
    try:
        return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its classes are private to the extension module
        raise _unloadable(data, ort.__version__, error) from None


def _unloadable(data: bytes, version: str, error: Exception) -> InvalidInput:
    import onnx

    model = onnx.load_model_from_string(data)
    sets = {each.domain or "ai.onnx": each.version for each in model.opset_import}
    written = ", ".join(f"{name} {number}" for name, number in sets.items())
    said = " ".join(str(error).split())
    known = _REASON.search(said)
    reason = known[0] if known else said[:300]
    msg = (
        f"onnxruntime {version} cannot load the ONNX graph, which was written for {written}"
        f" (IR {model.ir_version}): {reason}"
    )
    hint = "export it for an older operator set, torch.onnx.export(opset_version=...), or upgrade"
    return InvalidInput(msg, hint=f"{hint} onnxruntime")


def _input(entry: Any) -> Input:
    if entry.type not in _TYPES:
        msg = f"the graph's input {entry.name!r} is a {entry.type}, which no row carries"
        raise InvalidInput(msg, hint=f"a row carries {', '.join(_TYPES)}")
    shape = tuple(size if isinstance(size, int) else None for size in entry.shape)
    if not 1 <= len(shape) <= 2:
        msg = f"the graph's input {entry.name!r} has {len(shape)} dimensions"
        raise InvalidInput(msg, hint="expected (rows,), (rows, 1) or (rows, columns)")
    return Input(entry.name, _TYPES[entry.type], shape)


def _batch(inputs: tuple[Input, ...]) -> int | None:
    """1 if the graph takes one row at a time, None if it takes any number.

    Raises:
        InvalidInput: If it takes another number, or none of the row's values.
    """
    if not inputs:
        raise InvalidInput("the graph has no inputs, so it answers every row the same")
    sizes = {each.shape[0] for each in inputs} - {None}
    if sizes - {1}:
        msg = f"the graph takes exactly {max(size for size in sizes if size)} rows at a time"
        hint = "let the first dimension be any: torch.onnx.export(dynamic_shapes=...)"
        raise InvalidInput(msg, hint=hint)
    return 1 if sizes else None


def _output(session: Any) -> str:
    """The last output, which has to be of numbers.

    Raises:
        InvalidInput: If it is of labels, or of dictionaries.
    """
    last = session.get_outputs()[-1]
    if last.type not in _ANSWERS:
        msg = f"the graph's last output {last.name!r} is a {last.type}, expected numbers"
        hint = "of labels nothing can be judged, and skl2onnx needs options={'zipmap': False}"
        raise InvalidInput(msg, hint=hint)
    return str(last.name)


def _refuse_unless_shares(output: str, columns: NDArray[np.float64]) -> None:
    is_share = (columns >= -_EPSILON).all(axis=1) & (np.abs(columns.sum(axis=1) - 1) <= _EPSILON)
    if len(columns) and not is_share[np.isfinite(columns).all(axis=1)].all():
        shown = ", ".join(f"{value:.3g}" for value in columns[int(np.argmin(is_share))])
        msg = f"the two columns of the graph's output {output!r} are no probabilities: {shown}"
        raise InvalidInput(msg, hint="these may be logits: end the graph with a Softmax")


def _shape(each: Input, n_rows: int) -> tuple[int, ...]:
    return (n_rows, 1) if len(each.shape) == 2 else (n_rows,)


def _values(taken: Input, column: pl.Series) -> Any:
    """A column as an input takes it; a missing number is NaN, a missing text the word None."""
    import polars as pl

    is_text = column.dtype in (pl.String, pl.Categorical, pl.Enum)
    if is_text != (taken.dtype is np.object_) and column.dtype != pl.Null:
        kind = "texts" if taken.dtype is np.object_ else "numbers"
        msg = (
            f"the graph's input {taken.name!r} takes {kind}, and {column.name!r} is {column.dtype}"
        )
        raise InvalidInput(msg, hint="encode it in the graph, or leave it out of the contract")
    if taken.dtype is np.object_:
        texts = column.cast(pl.String)
        return np.array([_SPOKEN.get(text, text) for text in texts], object)
    if column.dtype.is_temporal():
        msg = f"the graph's input {taken.name!r} takes numbers, and {column.name!r} is a time"
        raise InvalidInput(msg, hint="make it a number, such as the hour, before it is sent")
    if not np.issubdtype(taken.dtype, np.floating):
        return _whole(taken, column)
    return column.cast(pl.Float64).fill_null(np.nan).to_numpy().astype(taken.dtype)


def _whole(taken: Input, column: pl.Series) -> Any:
    if column.null_count():
        kind = np.dtype(taken.dtype).name
        msg = f"{column.name!r} is null, and the graph's input {taken.name!r} takes {kind}"
        raise InvalidInput(msg, hint="let it take float, where null is NaN, or allow no null")
    return column.to_numpy().astype(taken.dtype)
