"""The columns that say something about a person are columns that there are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cd4ml.errors import ConfigurationError
from cd4ml.records.dataset import Column, Dataset, DatasetVersion
from cd4ml.store import rows

if TYPE_CHECKING:
    from sqlalchemy import Connection


def refuse_unknown_personal(
    connection: Connection, dataset: Dataset, columns: Iterable[Column]
) -> None:
    """Refuse a name under `personal` that no version has as a column: it would mark nothing.

    A column that only earlier versions have may stay: it is marked there.

    Args:
        connection: Of a read or write transaction.
        dataset: What is said about the dataset.
        columns: Those of the version that is made, or described.

    Raises:
        ConfigurationError: With the columns that there are.
    """
    names = [column.name for column in columns]
    missing = [name for name in dataset.personal if name not in names]
    if not missing:
        return
    earlier = rows.find(connection, DatasetVersion, dataset=dataset.name)
    known = {column.name for version in earlier for column in version.columns}
    unknown = [name for name in missing if name not in known]
    if unknown:
        msg = (
            f"cd4ml.toml: {dataset.name} has no column {unknown[0]!r}"
            f" - at `data.{dataset.name}.personal`"
        )
        raise ConfigurationError(msg, hint=f"its columns: {', '.join(names) or 'none'}")
