"""Versions of registered models: added, found, packaged once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec
import sqlalchemy as sa

from cd4ml.errors import Conflict, InvalidInput, NotFound
from cd4ml.models import aliases
from cd4ml.models.registry.entries import say
from cd4ml.models.registry.registered import ensure, model, touch
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.verdict import Verdict
from cd4ml.store import ledger, lineage, rows

_MOST_DIGITS = 9


def add_version(
    connection: sa.Connection,
    name: str,
    *,
    run: int = 0,
    verdict: int = 0,
    artifact: str = "",
    contract: str = "",
    logged: str = "",
    source: str = "",
    card: str = "",
    description: str = "",
    tags: Mapping[str, str] | None = None,
    why: str = "",
    by: str,
    at: datetime,
) -> ModelVersion:
    """The next version of a model, which is registered with it if it is not yet.

    Args:
        connection: Of a write transaction.
        name: The model's.
        run: The run that trained it; 0 for none of this project.
        verdict: The one that let it in; 0 if it was not judged yet.
        artifact: Address of the packaged model; "" if it is not packaged yet.
        contract: Address of the contract its requests must keep; "" likewise.
        logged: Address of the list of files that were logged.
        source: Where these came from, in the words of who brought them.
        card: Address of what people wrote about its use.
        description: In words, Markdown.
        tags: Name -> value.
        why: For the ledger.
        by: Who.
        at: Now.

    Raises:
        InvalidInput: If the model's name is no name.
    """
    ensure(connection, name, by=by, at=at)
    version = ModelVersion(
        model=name,
        number=rows.next_number(connection, ModelVersion, name),
        run=run,
        verdict=verdict,
        artifact=artifact,
        contract=contract,
        logged=logged,
        source=source,
        card=card,
        description=description,
        tags=dict(tags or {}),
        created_at=at,
        created_by=by,
    )
    rows.insert(connection, version)
    touch(connection, name, at)
    _trace(connection, version)
    ledger.append(
        connection,
        at=at,
        actor=by,
        action="model_version.added",
        subject=version.ref,
        reason=why,
        details={
            "run": f"run/{run}" if run else "",
            "verdict": f"verdict/{verdict}" if verdict else "",
            "artifact": artifact,
            "contract": contract,
            "logged": logged,
            "source": source,
            "card": card,
        },
        records=(version,),
    )
    return version


def version(connection: sa.Connection, name: str, number: int) -> ModelVersion:
    """One version.

    Raises:
        NotFound: If there is none, or it was deleted; the hint lists those there are.
    """
    found = rows.get(connection, ModelVersion, name, number)
    if found.deleted_at is not None:
        msg = f"{found.ref} was deleted on {found.deleted_at:%Y-%m-%d}"
        raise NotFound(msg, hint=f"cd4ml model restore {found.ref}")
    return found


def versions(
    connection: sa.Connection, name: str = "", *, newest_first: bool = False
) -> list[ModelVersion]:
    """The versions of a model, or of all, that were not deleted."""
    if name:
        found = rows.find(connection, ModelVersion, newest_first=newest_first, model=name)
    else:
        found = rows.find(connection, ModelVersion, newest_first=newest_first)
    return [each for each in found if each.deleted_at is None]


def newest(connection: sa.Connection, name: str) -> ModelVersion:
    """The newest version of a model that was not deleted.

    Raises:
        NotFound: If there is no such model, or it has no version.
    """
    model(connection, name)
    found = versions(connection, name, newest_first=True)
    if not found:
        raise NotFound(f"the model {name!r} has no version yet", hint="cd4ml graduate RUN")
    return found[0]


def find_version(connection: sa.Connection, ref: str) -> ModelVersion:
    """The version that people name: `delay/3`, `delay@champion`, or `delay` for the newest one.

    Raises:
        NotFound: If there is none, or it was deleted.
        InvalidInput: If what stands after "/" is no number.
    """
    if "@" in ref:
        name, _, alias = ref.partition("@")
        if aliases.alias(connection, name, alias) is None:
            model(connection, name)  # that there is none of this name is said first
        pointed = aliases.require_alias(connection, name, alias)
        return version(connection, name, pointed.number)
    if "/" not in ref:
        return newest(connection, ref)
    return version(connection, *version_in(ref))


def version_in(ref: str) -> tuple[str, int]:
    """The model and number in `delay/3`.

    Raises:
        InvalidInput: If it has another form.

    Examples:
        >>> version_in("delay/2")
        ('delay', 2)
    """
    name, _, number = ref.rpartition("/")
    is_number = number.isascii() and number.isdigit() and 0 < len(number) <= _MOST_DIGITS
    if not (name and is_number and int(number)):
        msg = f"expected MODEL/NUMBER, got {ref!r}"
        raise InvalidInput(msg, hint="cd4ml model list shows the versions")
    return name, int(number)


def verdict_about(connection: sa.Connection, version: ModelVersion) -> Verdict | None:
    """What was said last about this very model; None if it was never judged.

    Gates may have been tightened since it was let in.
    """
    about_it = [
        verdict
        for verdict in rows.find(connection, Verdict, run=version.run, newest_first=True)
        if (verdict.model, verdict.artifact) == (version.model, version.artifact)
    ]
    if about_it or not version.verdict:
        return about_it[0] if about_it else None
    return rows.get(connection, Verdict, version.verdict)


def set_packaged(
    connection: sa.Connection,
    version: ModelVersion,
    *,
    artifact: str,
    contract: str,
    by: str,
    at: datetime,
) -> ModelVersion:
    """A version with what it answers from now on, which is said once.

    Raises:
        Conflict: If it was packaged as something else.
    """
    now = rows.get(connection, ModelVersion, version.model, version.number)
    if now.artifact == artifact:
        return now
    if now.artifact:
        msg = f"{now.ref} is packaged as {now.artifact} already, and not as {artifact}"
        raise Conflict(msg, hint="a version never changes: graduate the run again for a new one")
    packaged = msgspec.structs.replace(now, artifact=artifact, contract=contract, changed_at=at)
    rows.replace(connection, packaged)
    lineage.link(connection, packaged.ref, artifact, "model")
    say(connection, packaged, "packaged", by=by, at=at, artifact=artifact, contract=contract)
    return packaged


def _trace(connection: sa.Connection, version: ModelVersion) -> None:
    at = version.created_at
    lineage.note(connection, address=version.ref, kind="model version", name=version.ref, at=at)
    for parent, role in (
        (version.artifact, "model"),
        (version.logged, "logged as"),
        (f"run/{version.run}" if version.run else "", "trained by"),
        (f"verdict/{version.verdict}" if version.verdict else "", "judged by"),
    ):
        if parent:
            lineage.link(connection, version.ref, parent, role)
