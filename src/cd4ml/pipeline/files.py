"""The inputs of a command as files, and the file it writes as an output."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

_SUFFIXES = {"pickle": ".pkl", "lightgbm": ".txt", "xgboost": ".ubj", "onnx": ".onnx"}

FORMATS = ("parquet", "csv", "ndjson")  # of tables; what is none has one form of its own


def write_input(value: Any, folder: Path, name: str, kind: str) -> Path:
    """Write an input to a file; returns its path.

    A table is written in the format that is asked for. What is no table has one form of its
    own: plain data and metrics are JSON, arrays npy, estimators pickles (boosters LightGBM's
    text and XGBoost's binary JSON, graphs ONNX), files what they are.
    """
    name_of_type = f"{type(value).__module__.partition('.')[0]}.{type(value).__name__}"
    if name_of_type in ("polars.DataFrame", "polars.LazyFrame"):
        return _write_table(value, folder / f"{name}.{kind if kind in FORMATS else 'parquet'}")
    if isinstance(value, Path):
        path = folder / f"{name}{value.suffix}"
        shutil.copyfile(value, path)
        return path
    if name_of_type == "numpy.ndarray":
        import numpy as np

        path = folder / f"{name}.npy"
        np.save(path, value, allow_pickle=False)
        return path
    if value is None or isinstance(value, bool | int | float | str | list | tuple | dict):
        path = folder / f"{name}.json"
        path.write_text(json.dumps(value))
        return path
    from cd4ml.models import estimator
    from cd4ml.models.formats import format_of

    data = estimator.dump(value)
    path = folder / f"{name}{_SUFFIXES[format_of(data)]}"
    path.write_bytes(data)
    return path


class Unreadable(Exception):
    """A file is not what its suffix says."""


def read_output(path: Path) -> Any:
    """What a command wrote, as a step would have returned it.

    Raises:
        Unreadable: If it is not what its suffix says.
    """
    try:
        return _read(path)
    except Exception as error:
        msg = f"the command wrote a {path.name} that cannot be read as such: {error}"
        raise Unreadable(msg) from error


def kept(path: Path) -> Path:
    """A file in a folder of its own, which goes when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="cd4ml-output-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(shutil.move(path, folder / path.name))


def _write_table(table: Any, path: Path) -> Path:
    frame = table.collect() if hasattr(table, "collect") else table
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    elif path.suffix == ".csv":
        frame.write_csv(path)
    else:
        frame.write_ndjson(path)
    return path


def _read(path: Path) -> Any:
    suffix = path.suffix.lower()
    if suffix == ".json":
        return json.loads(path.read_bytes())
    if suffix == ".npy":
        import numpy as np

        return np.load(path, allow_pickle=False)
    if suffix.removeprefix(".") in FORMATS:
        import polars as pl

        if suffix == ".parquet":
            return pl.read_parquet(path)
        return pl.read_csv(path) if suffix == ".csv" else pl.read_ndjson(path)
    return path
