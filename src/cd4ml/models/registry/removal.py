"""Models and versions that are hidden, and brought back: what a release needs stays."""

from __future__ import annotations

from datetime import datetime

import msgspec
import sqlalchemy as sa

from cd4ml.errors import Conflict
from cd4ml.models import aliases
from cd4ml.models.registry.entries import say
from cd4ml.models.registry.numbered import versions
from cd4ml.models.registry.registered import model, touch
from cd4ml.records.model_version import Alias, ModelVersion, RegisteredModel
from cd4ml.records.release import Release
from cd4ml.store import rows

_NEEDED = {  # states in which a release needs its version
    "released": "is in charge",
    "rolling_out": "is rolling out",
    "awaiting_approval": "waits for approval",
    "changes_requested": "waits for its requester",
}


def delete_version(
    connection: sa.Connection, version: ModelVersion, *, why: str = "", by: str, at: datetime
) -> ModelVersion:
    """Hide a version, and take away the aliases that point at it; `restore_version` brings it back.

    Its bytes, its verdicts and its lineage stay.

    Raises:
        Conflict: If a release needs it.
    """
    _refuse_while_needed(connection, version)
    for alias in rows.find(connection, Alias, model=version.model, number=version.number):
        reason = f"{version.ref} was deleted"
        aliases.remove(connection, alias.model, alias.name, why=reason, by=by, at=at)
    deleted = msgspec.structs.replace(version, deleted_at=at, changed_at=at)
    rows.replace(connection, deleted)
    touch(connection, version.model, at)
    say(connection, deleted, "deleted", why=why, by=by, at=at)
    return deleted


def restore_version(
    connection: sa.Connection, name: str, number: int, *, why: str = "", by: str, at: datetime
) -> ModelVersion:
    """A deleted version, there again; the aliases it had are not.

    Raises:
        NotFound: If there is no such version, or its model is deleted.
    """
    found = rows.get(connection, ModelVersion, name, number)
    model(connection, name)
    if found.deleted_at is None:
        return found
    restored = msgspec.structs.replace(found, deleted_at=None, changed_at=at)
    rows.replace(connection, restored)
    touch(connection, name, at)
    say(connection, restored, "restored", why=why, by=by, at=at)
    return restored


def delete_model(
    connection: sa.Connection, name: str, *, why: str = "", by: str, at: datetime
) -> RegisteredModel:
    """Hide a model with all its versions.

    Raises:
        NotFound: If there is none.
        Conflict: If a release needs one of its versions; then nothing is deleted.
    """
    found = model(connection, name)
    kept = versions(connection, name)
    for each in kept:
        _refuse_while_needed(connection, each)
    for each in kept:
        delete_version(connection, each, why=f"the model {name} was deleted", by=by, at=at)
    deleted = msgspec.structs.replace(found, deleted_at=at, changed_at=at)
    rows.replace(connection, deleted)
    say(connection, deleted, "deleted", why=why, by=by, at=at)
    return deleted


def restore_model(
    connection: sa.Connection, name: str, *, why: str = "", by: str, at: datetime
) -> RegisteredModel:
    """A deleted model, there again with the versions that were deleted with it.

    Raises:
        NotFound: If there never was one.
    """
    known = rows.find(connection, RegisteredModel, name=name)
    if not known or known[0].deleted_at is None:
        return model(connection, name)
    restored = msgspec.structs.replace(known[0], deleted_at=None, changed_at=at)
    rows.replace(connection, restored)
    say(connection, restored, "restored", why=why, by=by, at=at)
    for each in rows.find(connection, ModelVersion, model=name):
        if each.deleted_at == known[0].deleted_at:
            restore_version(connection, name, each.number, by=by, at=at)
    return restored


def _refuse_while_needed(connection: sa.Connection, version: ModelVersion) -> None:
    about_it = rows.find(connection, Release, model=version.model, version=version.number)
    for release in about_it:
        if release.state in _NEEDED:
            msg = f"{version.ref} was not deleted: {release.ref} {_NEEDED[release.state]} in"
            raise Conflict(f"{msg} {release.environment}", hint=f"cd4ml release show {release.ref}")
    mine = {release.number for release in about_it}
    for other in rows.find(connection, Release, model=version.model):
        if other.state in ("released", "rolling_out") and other.replaces in mine:
            msg = f"{version.ref} was not deleted: {other.environment} would go back to it"
            raise Conflict(msg, hint=f"it is what {other.ref} replaced; cd4ml undo needs it")
