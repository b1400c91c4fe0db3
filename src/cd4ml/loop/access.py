"""Who may read the rows of a dataset: the one way on which they are read.

`readers` of a dataset are roles. Who has none of them, and is no admin, sees what the catalog
says about it, and no value of it. Every other read of such a dataset is in the ledger: who,
which version, what for. The check stands before the bytes: whatever reads rows for somebody
calls `admit` first, or `open_table`, which does.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from cd4ml.data.refs import find_version
from cd4ml.data.usage import READ
from cd4ml.data.versions import scan_version
from cd4ml.errors import Cd4mlError, NotAllowed
from cd4ml.pipeline.dataset_input import DatasetInput
from cd4ml.records.actor import Actor
from cd4ml.records.dataset import Dataset, DatasetVersion
from cd4ml.store import ledger, people, rows
from cd4ml.store.people import ADMIN, SYSTEM
from cd4ml.store.project import Project

if TYPE_CHECKING:
    import polars as pl

    from cd4ml.records.run import Run


def open_table(project: Project, ref: str, *, actor: str, why: str) -> pl.LazyFrame:
    """The rows of `name@number`, or of the newest version of `name`, for somebody.

    Args:
        project: Whose data.
        ref: Which version.
        actor: Who wants to read it.
        why: What for, in words or as a ref; the ledger keeps it where the dataset is restricted.

    Raises:
        NotFound: If there is no such version, or nobody has the actor's name.
        NotAllowed: If the dataset is restricted and the actor has none of its roles.
    """
    with project.database.read() as connection:
        version = find_version(connection, ref)
    admit(project, version, actor=actor, why=why)
    return scan_version(project.files, version)


def admit(project: Project, *versions: DatasetVersion, actor: str, why: str) -> None:
    """Let somebody read versions, and write it down where they are restricted.

    Raises:
        NotAllowed: If one of them is restricted and the actor has none of its roles.
        NotFound: If one is restricted and nobody has the actor's name.
    """
    with project.database.read() as connection:
        names = {version.dataset for version in versions}
        if not any(_restrictions(connection, project, name) for name in names):
            return
    with project.database.write() as connection:
        for version in versions:
            _admit(connection, project, version, actor=actor, why=why)


def require_reader(project: Project, dataset: str, *, actor: str) -> None:
    """Refuse who may not read a dataset, before anything is read, made or written down.

    Raises:
        NotAllowed: If it is restricted and the actor has none of its roles.
        NotFound: If it is restricted and nobody has the actor's name.
    """
    with project.database.read() as connection:
        _require_reader(connection, project, dataset, actor)


@contextmanager
def discreet(project: Project, dataset: str, *, actor: str) -> Iterator[None]:
    """What goes wrong with the rows of a dataset, as the actor may hear of it.

    Who may not read it hears of no value of its rows. What goes wrong in work that nobody
    asked for is kept with its job, which everybody sees: no value of a restricted dataset.

    Raises:
        Cd4mlError: The same error, without the values where they may not be shown.
    """
    try:
        yield
    except Cd4mlError as error:
        if not error.discreet:
            raise
        with project.database.read() as connection:
            is_restricted = bool(_restrictions(connection, project, dataset))
            sees = actor != SYSTEM and may_read(connection, project, dataset, actor)
        if sees or not is_restricted:
            raise
        raise type(error)(error.discreet, hint=error.hint) from None


def for_everybody(project: Project, error: Cd4mlError) -> str:
    """What went wrong, for records that everybody sees.

    It has no value of rows if any dataset is restricted: what a model was made of may come
    from there, whatever steps lie between.
    """
    if not error.discreet:
        return str(error)
    is_any = is_any_restricted(project)
    return str(Cd4mlError(error.discreet, hint=error.hint)) if is_any else str(error)


def is_any_restricted(project: Project) -> bool:
    """Whether any dataset has readers: then no record that everybody sees has a value of rows."""
    with project.database.read() as connection:
        described = {dataset.name for dataset in rows.find(connection, Dataset)}
        names = described | set(project.settings.data)
        return any(_restrictions(connection, project, name) for name in names)


def admit_run(connection: sa.Connection, project: Project, run: Run) -> None:
    """Let a run take its datasets, in the transaction in which it begins.

    Raises:
        NotAllowed: If one is restricted and whoever runs has none of its roles.
    """
    for ref in run.refs.values():
        name, _, number = ref.partition("@")
        if number.isdigit():  # else nothing is in it yet
            version = rows.get(connection, DatasetVersion, name, int(number))
            _admit(connection, project, version, actor=run.created_by, why=run.ref)


def input_of(project: Project, version: DatasetVersion) -> DatasetInput:
    """A version as a run takes it; `admit_run` decides whether it may."""
    return DatasetInput(
        ref=version.ref,
        digest=version.digest,
        scan=lambda: scan_version(project.files, version),
    )


def may_read(connection: sa.Connection, project: Project, dataset: str, actor: str) -> bool:
    """Whether somebody may read the rows of a dataset; "" is nobody in particular."""
    restrictions = _restrictions(connection, project, dataset)
    return not restrictions or _keeps(restrictions, roles_of(connection, actor))


def is_open_to(roles: Set[str], project: Project, dataset: Dataset) -> bool:
    """Whether who has these roles may read the rows of a dataset."""
    return _keeps(_said(project, dataset.name, dataset.readers), roles)


def roles_of(connection: sa.Connection, actor: str) -> Set[str]:
    """An actor's roles; none of who is not known."""
    if actor == SYSTEM:
        return {SYSTEM}
    return {role for known in rows.find(connection, Actor, name=actor) for role in known.roles}


def shown(project: Project, version: DatasetVersion, actor: str) -> DatasetVersion:
    """A version as somebody may see it: without a value of rows that they may not read."""
    with project.database.read() as connection:
        allowed = may_read(connection, project, version.dataset, actor)
    return version if allowed else without_values(version)


def without_values(version: DatasetVersion) -> DatasetVersion:
    """A version with all that is known of it, but no value of its rows."""
    columns = tuple(
        msgspec.structs.replace(column, minimum=None, maximum=None, latest="")
        for column in version.columns
    )
    return msgspec.structs.replace(version, columns=columns)


def _admit(
    connection: sa.Connection, project: Project, version: DatasetVersion, *, actor: str, why: str
) -> None:
    if not _require_reader(connection, project, version.dataset, actor):
        return
    ledger.append(
        connection,
        at=project.clock.now(),
        actor=actor,
        action=READ,
        subject=version.ref,
        reason=why,
        details={"digest": version.digest},
    )


def _require_reader(connection: sa.Connection, project: Project, dataset: str, actor: str) -> bool:
    """Refuse who may not read it; whether it is restricted at all."""
    restrictions = _restrictions(connection, project, dataset)
    if not restrictions:
        return False
    if not actor:
        msg = f"{dataset} is restricted, and nobody says who reads it"
        raise NotAllowed(msg, hint="--as NAME, CD4ML_ACTOR, or the header cd4ml-actor")
    roles = _roles(connection, actor)
    for readers in restrictions:
        if not _keeps([readers], roles):
            raise _refused(dataset, actor, readers, roles)
    return True


def _restrictions(
    connection: sa.Connection, project: Project, dataset: str
) -> list[tuple[str, ...]]:
    """Sets of roles of which a reader needs one each: as the catalog and as `cd4ml.toml` say.

    What cd4ml.toml adds holds at once. What it drops holds until the dataset is described
    anew, so that no restriction ends without an entry in the ledger.
    """
    described = rows.find(connection, Dataset, name=dataset)
    return _said(project, dataset, *(each.readers for each in described))


def _said(project: Project, dataset: str, *catalog: tuple[str, ...]) -> list[tuple[str, ...]]:
    declared = project.settings.data.get(dataset)
    every = [*catalog, *([declared.readers] if declared else [])]
    return [readers for readers in dict.fromkeys(every) if readers]


def _keeps(restrictions: list[tuple[str, ...]], roles: Set[str]) -> bool:
    return all(roles & {*readers, ADMIN} for readers in restrictions)


def _roles(connection: sa.Connection, actor: str) -> Set[str]:
    """An actor's roles; nobody is asked when the system works, so it has its own name."""
    return {SYSTEM} if actor == SYSTEM else set(people.actor(connection, actor).roles)


def _refused(dataset: str, actor: str, readers: tuple[str, ...], roles: Set[str]) -> NotAllowed:
    needed = " or ".join(readers)
    msg = f"{actor} may not read {dataset}: it needs the role {needed}"
    if actor == SYSTEM:
        hint = f'readers = [..., "{SYSTEM}"] in [data.{dataset}] lets work that nobody asked for'
        return NotAllowed(msg, hint=f"{hint} read it")
    has = ", ".join(sorted(roles)) or "none"
    return NotAllowed(f"{msg}, has {has}", hint=f"cd4ml people add {actor} --role {readers[0]}")
