"""What the catalog says about datasets: to whom, how fresh, how good, how much used."""

from __future__ import annotations

from collections.abc import Set

import msgspec
import sqlalchemy as sa

from cd4ml.data import catalog as known
from cd4ml.data.freshness import Freshness, freshness_of
from cd4ml.data.usage import Checked, Use, quality_of, usage_of
from cd4ml.errors import Corrupted, NotFound
from cd4ml.loop.access import is_open_to, may_read, roles_of, without_values
from cd4ml.records.contract import Contract
from cd4ml.records.dataset import Dataset, DatasetVersion
from cd4ml.store.project import Project

__all__ = ["Checked", "Facts", "Freshness", "Use", "catalog", "facts_of"]


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a dataset is like by now, beside its description.

    `may_read` says whether whoever asks may read its rows; who may not sees no value.
    `personal` are the columns of the version that say something about a person.
    """

    may_read: bool
    personal: tuple[str, ...]
    freshness: Freshness
    quality: tuple[Checked, ...]
    usage: tuple[Use, ...]


def catalog(
    project: Project, query: str = "", *, limit: int = known.MOST_LISTED, actor: str = ""
) -> list[known.Entry]:
    """The datasets of which the words are said, the most telling first; all without words.

    Args:
        project: Whose datasets.
        query: Words, or their beginnings.
        limit: The most to return.
        actor: Who asks; "" is nobody in particular, who sees no value of restricted data.
    """
    with project.database.read() as connection:
        found = known.search(connection, query, limit=limit)
        roles = roles_of(connection, actor)
    return [_shown(project, entry, roles) for entry in found]


def facts_of(
    connection: sa.Connection,
    project: Project,
    version: DatasetVersion,
    dataset: Dataset,
    actor: str,
) -> Facts:
    """What a dataset is like by now, for who looks at one version of it."""
    newest = known.entry(connection, dataset.name).newest
    there = {column.name for column in version.columns}
    allowed = may_read(connection, project, dataset.name, actor)
    quality = quality_of(connection, dataset.name)
    return Facts(
        may_read=allowed,
        personal=tuple(name for name in dataset.personal if name in there),
        freshness=_freshness(project, dataset, newest),
        quality=quality if allowed else tuple(_without_examples(each) for each in quality),
        usage=usage_of(connection, dataset.name),
    )


def _shown(project: Project, entry: known.Entry, roles: Set[str]) -> known.Entry:
    newest, freshness = entry.newest, None
    if entry.dataset.fresh_within_hours is not None:  # else nobody asks, and contracts are blobs
        freshness = _freshness(project, entry.dataset, newest)
    if newest and not is_open_to(roles, project, entry.dataset):
        newest = without_values(newest)
    return msgspec.structs.replace(entry, newest=newest, freshness=freshness)


def _without_examples(checked: Checked) -> Checked:
    """The rules that were broken, without the values that broke them."""
    rules = tuple(each.partition(": ")[0] for each in checked.broken)
    return msgspec.structs.replace(checked, broken=rules)


def _freshness(project: Project, dataset: Dataset, newest: DatasetVersion | None) -> Freshness:
    now = project.clock.now()
    try:
        event_time = _event_time(project, newest) if newest else ""
    except (NotFound, Corrupted):  # the rest can be said without the contract
        found = freshness_of(dataset, newest, now=now)
        return msgspec.structs.replace(found, state="unknown" if found.state else "")
    return freshness_of(dataset, newest, event_time=event_time, now=now)


def _event_time(project: Project, version: DatasetVersion) -> str:
    """The column that says when a row happened: the contract's, else the model's."""
    if version.contract:
        contract = project.blobs.get_record(version.contract, Contract)
        if contract.event_time:
            return contract.event_time
    return project.settings.model.event_time
