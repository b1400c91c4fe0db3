"""A run on the rows of one key: which datasets are cut, and what the rest is called."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from cd4ml.data.partition import key_digest, rows_of_key
from cd4ml.pipeline.dataset_input import DatasetInput
from cd4ml.store import lineage
from cd4ml.store.address import address_of, short

if TYPE_CHECKING:
    from cd4ml.store.project import Project

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]")
_DIGITS = 6  # of a digest, where a key cannot stand in a name as it is


class Cut(NamedTuple):
    """The rows of one key in some datasets."""

    column: str
    key: str
    datasets: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.column}={self.key}"


def cut_input(project: Project, name: str, whole: DatasetInput, cut: Cut | None) -> DatasetInput:
    """A dataset as a run of one key takes it: cut, if it is one of those that are."""
    if cut is None or name not in cut.datasets:
        return whole
    digest = key_digest(whole.digest, cut.column, cut.key)
    with project.database.write() as connection:
        at = project.clock.now()
        called = f"{whole.ref} where {cut}"
        lineage.note(connection, address=digest, kind="dataset version", name=called, at=at)
        lineage.link(connection, digest, whole.digest, "rows of")
    return DatasetInput(
        ref=whole.ref,
        digest=digest,
        scan=lambda: rows_of_key(whole.scan(), cut.column, cut.key),
    )


def model_name(step: str, partition: str) -> str:
    """What the model of a run is called: as its step, with the key it was made for.

    Models of different keys are released apart from one another, each with its own champion.

    Examples:
        >>> model_name("delay", ""), model_name("delay", "origin=EWR")
        ('delay', 'delay-EWR')
        >>> model_name("delay", "city=New York")
        'delay-New_York-59dce1'
    """
    if not partition:
        return step
    key = partition.partition("=")[2]
    plain = _NOT_IN_NAMES.sub("_", key)
    if plain != key or not key:  # two keys never get one name
        plain = f"{plain}-{short(address_of(key.encode()))[:_DIGITS]}"
    return f"{step}-{plain}"
