"""Data that a run names: by name, digest and what they look like."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from cd4ml.errors import InvalidInput
from cd4ml.loop.read import OpenDataset
from cd4ml.store.address import address_of, address_of_file, address_of_record
from cd4ml.store.tracking.journal import Data


def named_data(data: Any, *, name: str = "", context: str = "", source: str = "") -> Data:
    """What to say of data.

    Args:
        data: What `cd4ml.dataset` opened, a table of Polars or pandas, an array, or the path
            of a file or folder.
        name: What to call it; a dataset and a path have names.
        context: What for.
        source: Where it came from, if it does not say so itself.

    Raises:
        InvalidInput: If it is nothing of the kind, or has no name.
    """
    if isinstance(data, OpenDataset):
        return _of_catalog(data, context)
    if isinstance(data, (str, os.PathLike)):
        return _of_path(Path(data), name, context, source)
    if not name:
        msg = f"what is logged as data needs a name, got a {type(data).__name__} without one"
        raise InvalidInput(msg, hint="log_dataset(data, name='flights')")
    if hasattr(data, "__array_interface__"):
        return _of_array(data, name, context, source)
    if hasattr(data, "columns") and hasattr(data, "shape"):
        return _of_table(data, name, context, source)
    msg = f"expected a dataset, a table, an array or a path, got {type(data).__name__}"
    raise InvalidInput(msg)


def _of_catalog(data: OpenDataset, context: str) -> Data:
    version = data.version
    as_of = f" as of {data.as_of.isoformat()}" if data.as_of else ""
    columns = {column.name: column.type for column in version.columns}
    return Data(
        name=version.dataset,
        digest=version.digest,
        context=context,
        source=f"{version.ref}{as_of}",
        source_type="dataset",
        schema=_json(columns),
        profile=_json({"n_rows": version.n_rows, "n_files": version.n_files}),
    )


def _of_path(path: Path, name: str, context: str, source: str) -> Data:
    try:
        if path.is_dir():
            files = sorted(each for each in path.rglob("*") if each.is_file())
            digest = address_of_record(
                {each.relative_to(path).as_posix(): address_of_file(each) for each in files}
            )
            n_bytes = sum(each.stat().st_size for each in files)
        else:
            digest, n_bytes = address_of_file(path), path.stat().st_size
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or error}") from None
    return Data(
        name=name or path.resolve().name,
        digest=digest,
        context=context,
        source=source or str(path),
        source_type="file",
        profile=_json({"n_bytes": n_bytes}),
    )


def _of_array(data: Any, name: str, context: str, source: str) -> Data:
    import numpy as np

    array = np.ascontiguousarray(data)
    if array.dtype.hasobject:
        msg = f"an array of objects has no digest, got one of {array.dtype}"
        raise InvalidInput(msg, hint="name it as a table, or by its path")
    shape = {"type": str(array.dtype), "shape": list(array.shape)}
    return Data(
        name=name,
        digest=address_of(_json(shape).encode() + array.tobytes()),
        context=context,
        source=source,
        source_type="array",
        schema=_json(shape),
        profile=_json({"n_rows": int(array.shape[0]) if array.ndim else 1}),
    )


def _of_table(data: Any, name: str, context: str, source: str) -> Data:
    import polars as pl

    from cd4ml.data.row_hash import row_shares

    frame = data if isinstance(data, pl.DataFrame) else pl.DataFrame(dict(data.items()))
    columns = {column: str(kind) for column, kind in frame.schema.items()}
    rows = row_shares(frame).tobytes() if frame.width else b""
    return Data(
        name=name,
        digest=address_of(_json(columns).encode() + rows),
        context=context,
        source=source,
        source_type="table",
        schema=_json(columns),
        profile=_json({"n_rows": frame.height}),
    )


def _json(thing: Any) -> str:
    return msgspec.json.encode(thing).decode()
