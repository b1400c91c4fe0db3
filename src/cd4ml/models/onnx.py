"""An estimator compiled to ONNX, and its answers.

A single row costs a scikit-learn pipeline milliseconds and the compiled one some tens of
microseconds. Conversion can be silently wrong, so nothing from here is used before
`models.parity` has compared it with the estimator.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from cd4ml.errors import Unavailable
from cd4ml.models.estimator import is_classifier
from cd4ml.models.onnx_row import BoundRow
from cd4ml.models.onnx_texts import Texts, spoken
from cd4ml.records.contract import Contract

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

_NUMERIC = ("integer", "number", "boolean")

_conversion = threading.Lock()


def compile_estimator(estimator: Any, contract: Contract, *, is_double: bool = False) -> bytes:
    """The estimator as an ONNX model with one input of shape (rows, 1) per field.

    Integers, numbers and booleans go in as floats of single or double precision, strings as strings;
    times cannot go in, so an estimator that uses them does not compile. The same estimator
    gives the same bytes in every process.

    Raises:
        Exception: Of skl2onnx, of many classes, if it has no conversion for a part.
    """
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType

    number = DoubleTensorType if is_double else FloatTensorType

    inputs = [
        (field.name, (number if field.type in _NUMERIC else StringTensorType)([None, 1]))
        for field in contract.fields
        if field.type != "datetime"
    ]
    options = {id(estimator): {"zipmap": False}} if is_classifier(estimator) else None
    with _conversion, _plain_attributes(), _endless_thresholds(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = _converted(estimator, inputs, options)
    _call_inputs(model.graph, [name for name, _ in inputs])
    # skl2onnx 1.20 lists the operator sets in the order of a Python set of texts, which is
    # another one in each process
    model.opset_import.sort(key=lambda opset: opset.domain)
    return bytes(model.SerializeToString(deterministic=True))


def _converted(estimator: Any, inputs: Sequence[tuple[str, Any]], options: Any) -> Any:
    """The graph of an estimator; a classifier or regressor by itself takes one input, not many."""
    from skl2onnx import convert_sklearn
    from sklearn.pipeline import Pipeline, make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    def graph_of(whole: Any) -> Any:
        return convert_sklearn(whole, "model", initial_types=inputs, options=options)

    if isinstance(estimator, Pipeline) or len(inputs) == 1:
        return graph_of(estimator)
    try:
        return graph_of(estimator)
    except Exception:  # one that changes nothing makes one matrix of many inputs
        return graph_of(make_pipeline(FunctionTransformer(), estimator))


def _call_inputs(graph: Any, names: Sequence[str]) -> None:
    """Give the inputs of a graph the names of the fields, which they stand for one by one.

    skl2onnx makes identifiers of them ("wind (mph)" is wind__mph_), each another one; names of results
    are such too, so that none is what a field is called.
    """
    called = {entry.name: name for entry, name in zip(graph.input, names, strict=True)}
    for entry in graph.input:
        entry.name = called[entry.name]
    for node in graph.node:
        node.input[:] = [called.get(name, name) for name in node.input]


@contextmanager
def _plain_attributes() -> Iterator[None]:
    """Let skl2onnx work with protobuf 7.

    skl2onnx 1.20 writes Python booleans into an attribute of integers
    (`nodes_missing_value_tracks_true` of HistGradientBoosting); protobuf refuses them from
    version 7 on. Only while a model is converted, booleans in lists become integers.
    """
    import skl2onnx.common._container as container

    original = container.make_node

    def make_node(*arguments: Any, **attributes: Any) -> Any:
        plain = {name: _without_booleans(value) for name, value in attributes.items()}
        return original(*arguments, **plain)

    container.make_node = make_node
    try:
        yield
    finally:
        container.make_node = original


@contextmanager
def _endless_thresholds() -> Iterator[None]:
    """Let skl2onnx convert trees that ask whether a value is missing.

    scikit-learn writes that question as a threshold of infinity. skl2onnx 1.20 looks for the nearest
    other double by halving the way there, which never ends.
    """
    import skl2onnx.common.tree_ensemble as trees

    original = trees.sklearn_threshold

    def threshold(value: float, dtype: Any, mode: str) -> Any:
        return np.float64(value) if np.isinf(value) else original(value, dtype, mode)

    trees.sklearn_threshold = threshold
    try:
        yield
    finally:
        trees.sklearn_threshold = original


def _without_booleans(value: Any) -> Any:
    if isinstance(value, list | tuple) and any(isinstance(item, bool | np.bool_) for item in value):
        return [int(item) for item in value]
    return value


class CompiledScorer:
    """Answers rows with ONNX Runtime, on one thread. Safe to share between threads."""

    def __init__(self, model: bytes, contract: Contract) -> None:
        self._contract = contract
        self._session = _open_session(model)
        # what `run` asks of its feed again each time is always so here; it takes longer than trees
        self._run = getattr(self._session, "_sess", self._session).run
        self._outputs = [self._session.get_outputs()[-1].name]
        inputs = self._session.get_inputs()
        taken = {entry.name for entry in inputs}
        is_double = any(entry.type == "tensor(double)" for entry in inputs)
        self._float: type[np.floating[Any]] = np.float64 if is_double else np.float32
        self._own = threading.local()
        fields = [(i, field) for i, field in enumerate(contract.fields) if field.name in taken]
        self._numbers = [i for i, field in fields if field.type in _NUMERIC]
        self._texts = [i for i, field in fields if field.type == "string"]
        self._number_names = [contract.names[i] for i in self._numbers]
        self._text_names = [contract.names[i] for i in self._texts]
        self._known = Texts()

    def score(self, values: Sequence[Sequence[Any]]) -> list[float]:
        """The answer to each row of JSON values, in the order of the contract's fields."""
        if len(values) == 1:
            return self._score_one(values[0])
        n, columns = len(values), list(zip(*values, strict=True))
        feed: dict[str, Any] = {}
        # one array for all columns, cut into (rows, 1): a call per column would cost more
        # than the model
        if self._numbers:
            numbers = [columns[i] for i in self._numbers]
            cut = np.array(numbers, self._float).reshape(-1, n, 1)  # None becomes NaN
            feed.update(zip(self._number_names, cut, strict=True))
        if self._texts:
            texts = [spoken(columns[i]) for i in self._texts]
            cut = np.array(texts, object).reshape(-1, n, 1)
            feed.update(zip(self._text_names, cut, strict=True))
        answers: list[float] = self._answers(feed).tolist()
        return answers

    def _score_one(self, row: Sequence[Any]) -> list[float]:
        """One row in arrays that are there already: making them would take half of the time."""
        own = self._own.__dict__
        if not own:
            own.update(self._one_row())
        numbers, texts = [row[i] for i in self._numbers], [row[i] for i in self._texts]
        bound: BoundRow | None = own.get("bound")
        if bound is not None and (answer := bound.answer(numbers, texts)) is not None:
            return [answer]
        own["numbers"][:] = numbers  # None becomes NaN
        own["texts"][:] = spoken(texts)
        answer = self._run(self._outputs, own["feed"], None)[0]
        if "bound" not in own:  # what an answer looks like is known by now
            own["bound"] = self._bound(answer)
        answers: list[float] = _column(answer).tolist()
        return answers

    def _one_row(self) -> dict[str, Any]:
        numbers = np.empty((len(self._numbers), 1, 1), self._float)
        texts = np.empty((len(self._texts), 1, 1), object)
        feed = dict(zip(self._number_names, numbers, strict=True))
        feed.update(zip(self._text_names, texts, strict=True))
        return {"numbers": numbers.reshape(-1), "texts": texts.reshape(-1), "feed": feed}

    def _bound(self, answer: NDArray[Any]) -> BoundRow | None:
        names = self._number_names, self._text_names
        try:
            return BoundRow(self._session, *names, self._float, self._known, answer)
        except Exception:  # onnxruntime has other insides: arrays do as well
            return None

    def score_frame(self, frame: pl.DataFrame) -> NDArray[np.float64]:
        """The answer to each row of a frame with the contract's columns.

        Raises:
            InvalidInput: If the frame lacks a column that it needs.
        """
        import polars as pl

        from cd4ml.models.frames import requested

        frame = requested(self._contract, frame, [*self._number_names, *self._text_names])

        feed: dict[str, Any] = {}
        for name in self._number_names:
            column = frame[name].cast(pl.Float64).fill_null(float("nan"))
            feed[name] = column.to_numpy().astype(self._float).reshape(-1, 1)
        for name in self._text_names:
            texts = spoken(frame[name].cast(pl.String).to_list())
            feed[name] = np.array(texts, object).reshape(-1, 1)
        return self._answers(feed).astype(np.float64)

    def _answers(self, feed: dict[str, Any]) -> NDArray[np.float32]:
        return _column(self._run(self._outputs, feed, None)[0])


def _column(answer: NDArray[np.float32]) -> NDArray[np.float32]:
    """The last column of what a model gave: of two probabilities that of the second class."""
    return answer[:, -1] if answer.ndim == 2 else answer


def _open_session(model: bytes) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what fails is raised: on stderr, too, it would be said twice
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its classes are private to the extension module
        msg = f"onnxruntime {ort.__version__} cannot load the compiled model: {error}"
        raise Unavailable(msg, hint="install the version named in the model's manifest") from None
