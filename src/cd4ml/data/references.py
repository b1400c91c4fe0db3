"""Columns whose values have to exist in another dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from cd4ml.errors import InvalidInput
from cd4ml.records.contract import Contract

if TYPE_CHECKING:
    import polars as pl


class Reference(NamedTuple):
    """A column of another dataset: `dataset` is a name, or a version `name@number`."""

    dataset: str
    column: str


def reference_of(text: str) -> Reference:
    """What "stations.name" or "stations@3.name" refers to.

    Raises:
        InvalidInput: If the text has another form.

    Examples:
        >>> reference_of("stations@3.name")
        Reference(dataset='stations@3', column='name')
    """
    dataset, _, column = text.partition(".")
    if not (dataset and column):
        msg = f"expected a reference DATASET.COLUMN, got {text!r}"
        raise InvalidInput(msg, hint="for example stations.name, or stations@3.name")
    return Reference(dataset, column)


def referenced(contract: Contract) -> list[str]:
    """The datasets that a contract's fields refer to, each once.

    Raises:
        InvalidInput: If a reference has another form than DATASET.COLUMN.
    """
    texts = [field.references for field in contract.fields if field.references]
    return list(dict.fromkeys(reference_of(text).dataset for text in texts))


def known_values(
    text: str, type_: pl.DataType, tables: Mapping[str, pl.LazyFrame]
) -> pl.Series | str:
    """The values that a reference allows in a column of this type, or why they are not known."""
    import polars as pl

    dataset, column = reference_of(text)
    if dataset not in tables:
        return f"the dataset {dataset!r} was not given to compare it with"
    schema = tables[dataset].collect_schema()
    if column not in schema:
        return f"{dataset} has no column {column!r}"
    if _kind(schema[column]) != _kind(type_):
        return f"{text} is {schema[column]}, and this column {type_}"
    values = tables[dataset].select(pl.col(column).drop_nulls().unique()).collect().to_series()
    is_text = _kind(type_) == "text"
    return values.cast(pl.String if is_text else type_, strict=False).drop_nulls().sort()


def _kind(type_: pl.DataType) -> str:
    import polars as pl

    if type_.is_numeric():
        return "number"
    if type_ in (pl.String, pl.Categorical, pl.Enum):
        return "text"
    return str(type_)
