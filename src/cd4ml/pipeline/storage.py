"""How the output of a step is kept, and given to the steps that need it.

An output is always read back from where it was stored: a step gets the same thing
whether its input was computed a moment ago or a month ago, and cannot change what
others get.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from cd4ml.errors import InvalidInput, PipelineError

if TYPE_CHECKING:
    from cd4ml.store.blobs import Blobs

_LONGEST = 100  # characters of a metric's name

Kind = Literal["table", "array", "model", "metrics", "json", "file"]

_MODELS = ("lightgbm.Booster", "xgboost.Booster", "onnx.ModelProto", "cd4ml.Graph")

_STORABLE = (
    "return a polars DataFrame, a numpy array, a fitted estimator (-> Model), metrics"
    " (-> Metrics), a Path, or plain data that JSON can hold"
)


class Output(NamedTuple):
    """A stored output: how it is stored, and where."""

    kind: Kind
    address: str


def store(blobs: Blobs, value: Any, *, hint: str, step: str, is_settled: bool = True) -> Output:
    """Keep what a step returned.

    Args:
        blobs: Where.
        value: What it returned.
        hint: Last word of its return hint: "Model" and "Metrics" decide, "DataFrame",
            "LazyFrame", "ndarray" and "Path" are compared with what came.
        step: Its name, for messages.
        is_settled: Whether it is on disk when this returns; else let `Blobs.settle` see to it.

    Raises:
        PipelineError: If the value cannot be stored, is not what the hint says, or is a
            metric that is not a finite number.
    """
    kind = _kind(value, hint, step)
    if kind == "file":
        if not value.is_file():
            msg = f"step {step!r} returned the path {value}, where there is no file"
            raise PipelineError(msg, hint="write the file before returning its path")
        return Output(kind, blobs.put_file(value))
    return Output(kind, blobs.put(_bytes(kind, value, step), is_settled=is_settled))


def load(blobs: Blobs, output: Output, *, hint: str) -> Any:
    """A stored output, verified, as a step wants it.

    A table is read whole, or scanned where the hint is LazyFrame; a file is a path to a
    read-only copy.

    Raises:
        NotFound: If it is no longer there.
        Corrupted: If it is not what was stored.
    """
    kind, address = output
    if kind == "file":
        return blobs.path(address)
    if kind == "table":
        import polars as pl

        # no globs, no partitions: the path is ours, whatever the project's folder is called
        frame = pl.scan_parquet(blobs.path(address), glob=False, hive_partitioning=False)
        return frame if hint == "LazyFrame" else frame.collect()
    data = blobs.get(address)
    if kind == "array":
        import numpy as np

        return np.load(io.BytesIO(data), allow_pickle=False)
    if kind == "model":
        from cd4ml.models import estimator

        return estimator.load(data)
    return json.loads(data)


def parquet(frame: Any) -> bytes:
    """A polars DataFrame as Parquet: the same rows give the same bytes."""
    buffer = io.BytesIO()
    # one chunk: how rows happen to lie in memory would show in the bytes
    frame.rechunk().write_parquet(buffer, compression="zstd", statistics=True)
    return buffer.getvalue()


def _kind(value: Any, hint: str, step: str) -> Kind:
    kind = _kind_of(value, hint)
    expected = _EXPECTED.get(hint, kind)
    if kind is None or kind != expected:
        said = f", its hint says {hint}" if hint in _EXPECTED else ", which cannot be stored"
        msg = f"step {step!r} returned {_article(type(value).__name__)}{said}"
        raise PipelineError(msg, hint=_STORABLE)
    return kind


_EXPECTED: dict[str, Kind] = {
    "DataFrame": "table",
    "LazyFrame": "table",
    "ndarray": "array",
    "Path": "file",
    "Model": "model",
    "Metrics": "metrics",
}


def _kind_of(value: Any, hint: str) -> Kind | None:
    if hint == "Model" and (_is_estimator(value) or isinstance(value, bytes)):
        return "model"  # bytes: those of an ONNX graph, or they are refused
    if hint == "Metrics" and isinstance(value, Mapping):
        return "metrics"
    if isinstance(value, Path):
        return "file"
    name = f"{type(value).__module__.partition('.')[0]}.{type(value).__name__}"
    if name in ("polars.DataFrame", "polars.LazyFrame"):
        return "table"
    if name == "numpy.ndarray":
        return "array"
    plain = _unboxed(value)
    if plain is None or isinstance(plain, bool | int | float | str | list | tuple | dict):
        return "json"
    if _is_estimator(value) and (hasattr(value, "fit") or name in _MODELS):
        return "model"
    return None


def _is_estimator(value: Any) -> bool:
    names = ("predict", "predict_proba", "predict_one", "model_proto")
    is_graph = type(value).__name__ == "ModelProto"
    return is_graph or any(hasattr(value, name) for name in names)


def _bytes(kind: Kind, value: Any, step: str) -> bytes:
    try:
        if kind == "table":
            return parquet(value.collect() if hasattr(value, "collect") else value)
        if kind == "array":
            return _npy(value)
        if kind == "model":
            from cd4ml.models import estimator

            return estimator.dump(value)
        if kind == "metrics":
            return json.dumps(_finite(value, step), sort_keys=True).encode()
        return json.dumps(_plain(value), allow_nan=False).encode()
    except PipelineError:
        raise
    except InvalidInput as error:
        msg = f"the output of step {step!r} cannot be stored: {error.message}"
        raise PipelineError(msg, hint=error.hint) from error
    except Exception as error:
        msg = f"the output of step {step!r} cannot be stored: {error}"
        raise PipelineError(msg, hint=_STORABLE) from error


def _npy(array: Any) -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _finite(metrics: Mapping[Any, Any], step: str) -> dict[str, float]:
    """The metrics as floats; whoever compares NaN with a limit lets it pass."""
    metrics = {name: _unboxed(value) for name, value in metrics.items()}
    for name, value in metrics.items():
        if not isinstance(name, str) or not isinstance(value, Real) or isinstance(value, bool):
            msg = f"step {step!r}: metric {name!r} is {_article(type(value).__name__)}"
            raise PipelineError(msg, hint="metrics are names with numbers")
        if not (name.isprintable() and name == name.strip() and 0 < len(name) <= _LONGEST):
            msg = f"step {step!r}: {name[:_LONGEST]!r} cannot name a metric"
            raise PipelineError(
                msg, hint=f"1 to {_LONGEST} printable characters, no space at an end"
            )
        if not math.isfinite(value):
            msg = f"step {step!r}: metric {name!r} is {value}, not a finite number"
            hint = "leave it out where it cannot be computed (no rows, one class only)"
            raise PipelineError(msg, hint=hint)
    return {name: float(value) for name, value in metrics.items()}


def _unboxed(value: Any) -> Any:
    """A scalar of NumPy's as the number or text that it is, if Python's own hold it exactly."""
    is_scalar = type(value).__module__ == "numpy" and getattr(value, "shape", None) == ()
    plain = value.item() if is_scalar else value
    return plain if type(plain) in (bool, int, float, str) else value


def _plain(value: Any, path: str = "$") -> Any:
    value = _unboxed(value)
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                msg = f"the key {key!r} at {path} is not a string"
                raise TypeError(msg)
        return {key: _plain(inner, f"{path}.{key}") for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, f"{path}[{i}]") for i, inner in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        msg = f"{value} at {path} is no JSON"
        raise TypeError(msg)
    if value is None or type(value) in (bool, int, float, str):
        return value
    msg = f"{_article(type(value).__name__)} at {path} is no JSON"
    raise TypeError(msg)


def _article(noun: str) -> str:
    return noun if noun == "NoneType" else f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"
