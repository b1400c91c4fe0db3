"""Registered models and their versions: count them, describe them, hide them and bring them back.

Registering says what a version is; whether it may answer anybody is for the gates and the
release to say. Every function takes the connection of a write transaction where it changes
something, and writes into the ledger in that transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from cd4ml.errors import AlreadyExists, Conflict, InvalidInput, NotFound
from cd4ml.models import aliases
from cd4ml.models.registry_names import require_model_name, require_tag
from cd4ml.records.model_version import Alias, ModelVersion, RegisteredModel
from cd4ml.records.release import Release
from cd4ml.records.verdict import Verdict
from cd4ml.store import ledger, lineage, rows

_MOST_DIGITS = 9
_NEEDED = {  # states in which a release needs its version
    "released": "is in charge",
    "rolling_out": "is rolling out",
    "awaiting_approval": "waits for approval",
}


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
    _touch(connection, name, at)
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
    _say(connection, packaged, "packaged", by=by, at=at, artifact=artifact, contract=contract)
    return packaged


def describe(
    connection: sa.Connection,
    thing: RegisteredModel | ModelVersion,
    description: str,
    *,
    by: str,
    at: datetime,
) -> None:
    """Say in words what a model or a version is."""
    changed = msgspec.structs.replace(thing, description=description, changed_at=at)
    if changed.description == thing.description:
        return
    rows.replace(connection, changed)
    _say(connection, changed, "described", by=by, at=at, description=description)


def set_tags(
    connection: sa.Connection,
    thing: RegisteredModel | ModelVersion,
    tags: Mapping[str, str],
    *,
    by: str,
    at: datetime,
) -> None:
    """Give a model or a version tags; those of other names stay.

    Args:
        connection: Of a write transaction.
        thing: As it was read in this transaction.
        tags: Name -> value.
        by: Who.
        at: Now.

    Raises:
        InvalidInput: If a name or a value is too long, or cannot be printed.
    """
    require_tags(tags)
    if {**thing.tags, **tags} == thing.tags:
        return
    changed = msgspec.structs.replace(thing, tags={**thing.tags, **tags}, changed_at=at)
    rows.replace(connection, changed)
    _say(connection, changed, "tagged", by=by, at=at, tags=dict(tags))


def require_tags(tags: Mapping[str, str]) -> None:
    """Let no tags through that no list could show.

    Raises:
        InvalidInput: If a name or a value is too long, or cannot be stored.
    """
    for name, value in tags.items():
        require_tag(name, value)


def remove_tag(
    connection: sa.Connection,
    thing: RegisteredModel | ModelVersion,
    tag: str,
    *,
    by: str,
    at: datetime,
) -> None:
    """Take a tag away.

    Raises:
        NotFound: If there is none of this name.
    """
    if tag not in thing.tags:
        known = ", ".join(sorted(thing.tags)) or "none"
        raise NotFound(f"{_subject(thing)} has no tag {tag!r}", hint=f"known: {known}")
    left = {name: value for name, value in thing.tags.items() if name != tag}
    changed = msgspec.structs.replace(thing, tags=left, changed_at=at)
    rows.replace(connection, changed)
    _say(connection, changed, "untagged", by=by, at=at, tag=tag)


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
    _touch(connection, version.model, at)
    _say(connection, deleted, "deleted", why=why, by=by, at=at)
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
    _touch(connection, name, at)
    _say(connection, restored, "restored", why=why, by=by, at=at)
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
    _say(connection, deleted, "deleted", why=why, by=by, at=at)
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
    _say(connection, restored, "restored", why=why, by=by, at=at)
    for each in rows.find(connection, ModelVersion, model=name):
        if each.deleted_at == known[0].deleted_at:
            restore_version(connection, name, each.number, by=by, at=at)
    return restored


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


def _touch(connection: sa.Connection, name: str, at: datetime) -> None:
    found = rows.get(connection, RegisteredModel, name)
    rows.replace(connection, msgspec.structs.replace(found, changed_at=at))


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


def _subject(thing: RegisteredModel | ModelVersion) -> str:
    return thing.ref if isinstance(thing, ModelVersion) else thing.name


def _say(
    connection: sa.Connection,
    thing: RegisteredModel | ModelVersion,
    what: str,
    *,
    why: str = "",
    by: str,
    at: datetime,
    **details: Any,
) -> None:
    kind = "model_version" if isinstance(thing, ModelVersion) else "model"
    ledger.append(
        connection,
        at=at,
        actor=by,
        action=f"{kind}.{what}",
        subject=_subject(thing),
        reason=why,
        details=details,
    )
