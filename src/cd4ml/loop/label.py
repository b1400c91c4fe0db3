"""Take in what really happened, and make data of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from cd4ml.errors import InvalidInput, NotFound
from cd4ml.feedback import labels
from cd4ml.records.contract import Contract
from cd4ml.records.model_version import Alias, ModelVersion
from cd4ml.store import people, rows
from cd4ml.store.project import Project

if TYPE_CHECKING:
    import polars as pl


class LabelReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """A batch of labels that was taken in; the same batch again is the same receipt."""

    batch: str
    n_labels: int
    n_unknown: int  # of predictions that are not in the log yet
    is_new: bool


def label(
    project: Project,
    *,
    path: Path | None = None,
    rows: Iterable[Mapping[str, Any]] | None = None,
    actor: str,
) -> LabelReceipt:
    """Keep a batch of labels; stored when this returns.

    Args:
        project: Whose predictions they are about.
        path: A CSV, Parquet or NDJSON file with `prediction_id`, `value`, and if known
            `labelled_at` and `labelled_by`.
        rows: The same as rows, instead of a file.
        actor: Who brings them.

    Raises:
        InvalidInput: If any row is no label: nothing of the batch is kept.
    """
    with project.database.read() as connection:
        people.actor(connection, actor)
    given = _read(path) if path is not None else list(rows or ())
    kept = labels.accept(project.database, project.log, given, now=project.clock.now(), actor=actor)
    return LabelReceipt(
        batch=kept.batch,
        n_labels=kept.n_labels,
        n_unknown=kept.n_unknown,
        is_new=kept.n_new > 0,
    )


def production_contract(project: Project) -> tuple[str, Contract]:
    """The model in charge, and the contract of its requests.

    Raises:
        NotFound: If nothing is in charge yet.
    """
    with project.database.read() as connection:
        champions = rows.find(connection, Alias, name="champion")
        if not champions:
            msg = "no version is in charge yet, so production has shown nothing"
            raise NotFound(msg, hint="release one first: cd4ml release MODEL/1 --to ENVIRONMENT")
        version = rows.get(connection, ModelVersion, champions[0].model, champions[0].number)
    return version.model, project.blobs.get_record(version.contract, Contract)


def _read(path: Path) -> pl.DataFrame:
    import polars as pl

    readers = {".csv": pl.read_csv, ".parquet": pl.read_parquet, ".ndjson": pl.read_ndjson}
    if path.suffix not in readers:
        msg = f"expected a .csv, .parquet or .ndjson file with labels, got {path.name}"
        raise InvalidInput(msg)
    if not path.is_file():
        msg = f"no file {path}"
        raise NotFound(msg, hint="it has the columns prediction_id and value")
    try:
        return readers[path.suffix](path)
    except pl.exceptions.PolarsError as error:
        reason = str(error).strip().splitlines()[0]
        msg = f"{path} cannot be read: {reason}"
        raise InvalidInput(msg) from None
