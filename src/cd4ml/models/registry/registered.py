"""Registered models: names under which versions are counted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec
import sqlalchemy as sa

from cd4ml.errors import AlreadyExists, NotFound
from cd4ml.models.registry.names import require_model_name
from cd4ml.records.model_version import RegisteredModel
from cd4ml.store import ledger, rows


def register(
    connection: sa.Connection,
    name: str,
    *,
    description: str = "",
    tags: Mapping[str, str] | None = None,
    by: str,
    at: datetime,
) -> RegisteredModel:
    """A new registered model; one that was deleted begins again, without its old versions.

    Numbers go on where they ended: a version's number is never given twice.

    Raises:
        AlreadyExists: If there is one.
        InvalidInput: If it is no name.
    """
    require_model_name(name)
    known = rows.find(connection, RegisteredModel, name=name)
    if known and known[0].deleted_at is None:
        raise AlreadyExists(f"the model {name!r} is registered already", hint="cd4ml model list")
    model = _begin(connection, name, description=description, tags=dict(tags or {}), by=by, at=at)
    details = {"description": description, "tags": model.tags}
    ledger.append(
        connection, at=at, actor=by, action="model.registered", subject=name, details=details
    )
    return model


def ensure(connection: sa.Connection, name: str, *, by: str, at: datetime) -> RegisteredModel:
    """The registered model with this name, which begins now if it has not yet.

    Whoever asks writes into the ledger what is done with it.

    Raises:
        InvalidInput: If it is no name.
    """
    known = rows.find(connection, RegisteredModel, name=name)
    if known and known[0].deleted_at is None:
        return known[0]
    require_model_name(name)
    return _begin(connection, name, by=by, at=at)


def model(connection: sa.Connection, name: str) -> RegisteredModel:
    """The registered model with this name.

    Raises:
        NotFound: If there is none, or it was deleted; the hint lists those there are.
    """
    known = rows.find(connection, RegisteredModel, name=name)
    if known and known[0].deleted_at is None:
        return known[0]
    if known:
        msg = f"the model {name!r} was deleted on {known[0].deleted_at:%Y-%m-%d}"
        raise NotFound(msg, hint=f"cd4ml model restore {name}")
    names = ", ".join(each.name for each in models(connection)) or "none yet"
    raise NotFound(f"no model named {name!r}", hint=f"known: {names}")


def models(connection: sa.Connection) -> list[RegisteredModel]:
    """All registered models that were not deleted, by name."""
    found = rows.find(connection, RegisteredModel)
    return [each for each in found if each.deleted_at is None]


def touch(connection: sa.Connection, name: str, at: datetime) -> None:
    """A model has changed in one of its versions."""
    found = rows.get(connection, RegisteredModel, name)
    rows.replace(connection, msgspec.structs.replace(found, changed_at=at))


def _begin(
    connection: sa.Connection,
    name: str,
    *,
    description: str = "",
    tags: dict[str, str] | None = None,
    by: str,
    at: datetime,
) -> RegisteredModel:
    model = RegisteredModel(
        name=name,
        description=description,
        tags=tags or {},
        created_at=at,
        created_by=by,
        changed_at=at,
    )
    rows.put(connection, model)
    return model
