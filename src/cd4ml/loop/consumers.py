"""Whoever calls a version in charge goes on being answered, unless the new one says it breaks."""

from __future__ import annotations

import sqlalchemy as sa

from cd4ml.errors import Conflict, InvalidInput, Refused
from cd4ml.models.compatibility import (
    differences,
    is_raised_enough,
    next_version,
    version_of,
)
from cd4ml.models.contract import CompiledContract
from cd4ml.records.contract import Contract
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.release import Release
from cd4ml.release.environments import settings_of
from cd4ml.release.releases import in_charge
from cd4ml.store import rows
from cd4ml.store.project import Project

_SHOWN = 10  # breaking changes in one message


def refuse_breaking(project: Project, version: ModelVersion, environment: str) -> int:
    """Let no version into an environment that breaks those who call the one in charge there.

    A breaking change is let through when the contract's major version is higher. Even then the
    two cannot share the environment's traffic if the new one needs what requests do not have.

    Returns:
        The release in charge that was looked at; 0 for none. See `refuse_if_moved`.

    Raises:
        Refused: With what breaks, and the version that would say so.
        NotFound: If there is no such environment.
    """
    settings = settings_of(project.settings.environments, environment)
    with project.database.read() as connection:
        release = in_charge(connection, version.model, environment)
        before = _version_of(connection, release)
    if release is None or before is None or version.contract in ("", before.contract):
        return release.number if release else 0
    old, new = (project.blobs.get_record(v.contract, Contract) for v in (before, version))
    if broken := differences(old, new):
        _refuse_unless_raised(version, before, old, new, broken)
        shared = [step.mode for step in settings.rollout if step.mode != "full"]
        if shared:
            _refuse_shared_traffic(version, before, old, new, shared[0])
    return release.number


def refuse_if_moved(connection: sa.Connection, model: str, environment: str, seen: int) -> None:
    """In the transaction that follows: what was looked at is still in charge.

    Raises:
        Conflict: If another release took its place meanwhile; raising undoes the transaction.
    """
    release = in_charge(connection, model, environment)
    if (release.number if release else 0) != seen:
        msg = f"another version of {model} came in charge in {environment} meanwhile"
        raise Conflict(msg, hint="ask again")


def _version_of(connection: sa.Connection, release: Release | None) -> ModelVersion | None:
    if release is None:
        return None
    found = rows.get(connection, ModelVersion, release.model, release.version)
    return found if found.contract else None


def _refuse_unless_raised(
    version: ModelVersion, before: ModelVersion, old: Contract, new: Contract, broken: list[str]
) -> None:
    asks = "its contract needs a version that says so"
    try:
        was, now = version_of(old), version_of(new)
        if is_raised_enough(was, now, "major"):
            return
        asks = f"call the contract {next_version(was, 'major')}, or let it take what it took"
    except InvalidInput as error:
        asks = f"{error.message}: {error.hint}"
    listed = "".join(f"\n  - {words}" for words in broken[:_SHOWN])
    more = f"\n  ... and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
    msg = (
        f"{version.ref} was not released: its contract {new.name} {new.version} breaks those who"
        f" keep {old.version} of {before.ref}{listed}{more}"
    )
    raise Refused(msg, hint=asks)


def _refuse_shared_traffic(
    version: ModelVersion, before: ModelVersion, old: Contract, new: Contract, mode: str
) -> None:
    try:
        CompiledContract(old).getter_for(new)
    except InvalidInput as error:
        msg = (
            f"{version.ref} was not released: {error.message}, and a {mode} answers the requests"
            f" of {before.ref}"
        )
        hint = "a rollout of one step, full, lets it take all requests at once"
        raise Refused(msg, hint=hint) from None
