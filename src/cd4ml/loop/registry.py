"""Which models and versions there are, what they are called, and what people say about them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import sqlalchemy as sa

from cd4ml.errors import InvalidInput, NotAllowed
from cd4ml.gates.verdicts import summary
from cd4ml.models import aliases, registry
from cd4ml.records.model_version import Alias, AliasMove, ModelVersion, RegisteredModel
from cd4ml.release.champion import CHAMPION
from cd4ml.store import people, rows
from cd4ml.store.project import Project
from cd4ml.store.storable import problem

_LONGEST_TEXT = 100_000  # characters of a description


class ModelSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A version with the names that point at it and what the gates said last."""

    version: ModelVersion
    aliases: tuple[str, ...]
    verdict: str


class RegisteredSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A registered model with its aliases and how many versions it has."""

    model: RegisteredModel
    aliases: tuple[Alias, ...]
    n_versions: int
    newest: int  # number of the newest version; 0 for none


def register(
    project: Project,
    name: str,
    *,
    description: str = "",
    tags: Mapping[str, str] | None = None,
    actor: str,
) -> RegisteredModel:
    """Give a model a name before it has a version.

    Raises:
        AlreadyExists: If there is one.
        InvalidInput: If the name, a tag or the description cannot be kept.
    """
    _require_text(description)
    with project.database.write() as connection:
        people.actor(connection, actor)
        registry.require_tags(tags or {})
        return registry.register(
            connection,
            name,
            description=description,
            tags=tags,
            by=actor,
            at=project.clock.now(),
        )


def registered(project: Project) -> list[RegisteredSummary]:
    """All registered models, by name."""
    with project.database.read() as connection:
        return [_registered(connection, each) for each in registry.models(connection)]


def registered_model(project: Project, name: str) -> RegisteredSummary:
    """One registered model.

    Raises:
        NotFound: If there is none, or it was deleted.
    """
    with project.database.read() as connection:
        return _registered(connection, registry.model(connection, name))


def models(project: Project) -> list[ModelSummary]:
    """All versions that were not deleted, by model and number."""
    with project.database.read() as connection:
        return [_summary(connection, version) for version in registry.versions(connection)]


def version_of(project: Project, ref: str) -> ModelSummary:
    """The version that `delay/3`, `delay@champion` or `delay` (the newest one) names.

    Raises:
        NotFound: If there is none, or it was deleted.
        InvalidInput: If the ref has another form.
    """
    with project.database.read() as connection:
        return _summary(connection, registry.find_version(connection, ref))


def set_alias(
    project: Project,
    ref: str,
    alias: str,
    *,
    expected: int | None = None,
    why: str = "",
    actor: str,
) -> Alias:
    """Point an alias at a version, if it still points where it is believed to.

    Args:
        project: Whose model.
        ref: The version.
        alias: The name.
        expected: The number it is believed to point at now, 0 for none; None does not care.
        why: In words.
        actor: Who.

    Raises:
        NotFound: If there is no such version.
        Conflict: If somebody else was faster.
        NotAllowed: If releases move it: `champion`, where there are environments.
        InvalidInput: If it is no name for an alias.
    """
    with project.database.write() as connection:
        people.actor(connection, actor)
        version = registry.find_version(connection, ref)
        _refuse_champion(project, alias)
        return aliases.move(
            connection,
            version.model,
            alias,
            version.number,
            expected=expected,
            why=why,
            by=actor,
            at=project.clock.now(),
        )


def remove_alias(
    project: Project, ref: str, *, expected: int | None = None, why: str = "", actor: str
) -> Alias:
    """Take the alias of `delay@challenger` away; returns where it pointed.

    Raises:
        NotFound: If there is none.
        Conflict: If somebody else was faster.
        NotAllowed: If releases move it.
    """
    model, alias = alias_in(ref)
    with project.database.write() as connection:
        people.actor(connection, actor)
        _refuse_champion(project, alias)
        at = project.clock.now()
        return aliases.remove(connection, model, alias, expected=expected, why=why, by=actor, at=at)


def alias_history(project: Project, ref: str) -> list[AliasMove]:
    """Every move of `delay@champion`, or of all aliases of `delay`, the newest first.

    Raises:
        NotFound: If there is no such model.
    """
    model, alias = alias_in(ref) if "@" in ref else (ref, "")
    with project.database.read() as connection:
        if not rows.find(connection, RegisteredModel, name=model):
            registry.model(connection, model)
        return aliases.history(connection, model, alias)


def describe(project: Project, ref: str, description: str, *, actor: str) -> None:
    """Say in words, as Markdown, what a model or a version is.

    Raises:
        NotFound: If there is no such model or version.
        InvalidInput: If it is too long, or cannot be stored.
    """
    _require_text(description)
    with project.database.write() as connection:
        people.actor(connection, actor)
        thing = _thing(connection, ref)
        registry.describe(connection, thing, description, by=actor, at=project.clock.now())


def tag(project: Project, ref: str, tags: Mapping[str, str], *, actor: str) -> None:
    """Give a model or a version tags; those of other names stay.

    Raises:
        NotFound: If there is no such model or version.
        InvalidInput: If a tag cannot be kept.
    """
    with project.database.write() as connection:
        people.actor(connection, actor)
        thing = _thing(connection, ref)
        registry.set_tags(connection, thing, tags, by=actor, at=project.clock.now())


def untag(project: Project, ref: str, name: str, *, actor: str) -> None:
    """Take a tag away from a model or a version.

    Raises:
        NotFound: If there is no such model, version or tag.
    """
    with project.database.write() as connection:
        people.actor(connection, actor)
        thing = _thing(connection, ref)
        registry.remove_tag(connection, thing, name, by=actor, at=project.clock.now())


def delete(
    project: Project, ref: str, *, why: str = "", actor: str
) -> RegisteredModel | ModelVersion:
    """Hide a version, or a model with all of them; nothing that was decided is lost.

    Raises:
        NotFound: If there is none.
        Conflict: If a release needs it; then nothing is deleted.
    """
    at = project.clock.now()
    with project.database.write() as connection:
        people.actor(connection, actor)
        thing = _thing(connection, ref)
        if isinstance(thing, ModelVersion):
            return registry.delete_version(connection, thing, why=why, by=actor, at=at)
        return registry.delete_model(connection, thing.name, why=why, by=actor, at=at)


def restore(
    project: Project, ref: str, *, why: str = "", actor: str
) -> RegisteredModel | ModelVersion:
    """Bring back what was deleted: a version, or a model with the versions deleted with it.

    Raises:
        NotFound: If there never was one.
    """
    at = project.clock.now()
    with project.database.write() as connection:
        people.actor(connection, actor)
        if "/" not in ref:
            return registry.restore_model(connection, ref, why=why, by=actor, at=at)
        model, number = registry.version_in(ref)
        return registry.restore_version(connection, model, number, why=why, by=actor, at=at)


def alias_in(ref: str) -> tuple[str, str]:
    """The model and the alias in `delay@champion`.

    Raises:
        InvalidInput: If it has another form.

    Examples:
        >>> alias_in("delay@champion")
        ('delay', 'champion')
    """
    model, _, alias = ref.partition("@")
    if not model or not alias:
        raise InvalidInput(f"expected MODEL@ALIAS, got {ref!r}", hint="for example delay@champion")
    return model, alias


def _registered(connection: sa.Connection, model: RegisteredModel) -> RegisteredSummary:
    versions = registry.versions(connection, model.name)
    return RegisteredSummary(
        model=model,
        aliases=tuple(aliases.aliases_of(connection, model.name)),
        n_versions=len(versions),
        newest=versions[-1].number if versions else 0,
    )


def _summary(connection: sa.Connection, version: ModelVersion) -> ModelSummary:
    verdict = registry.verdict_about(connection, version)
    pointing = rows.find(connection, Alias, model=version.model, number=version.number)
    return ModelSummary(
        version=version,
        aliases=tuple(alias.name for alias in pointing),
        verdict=summary(verdict) if verdict else "not judged yet",
    )


def _thing(connection: sa.Connection, ref: str) -> RegisteredModel | ModelVersion:
    if "/" in ref or "@" in ref:
        return registry.find_version(connection, ref)
    return registry.model(connection, ref)


def _refuse_champion(project: Project, alias: str) -> None:
    if alias == CHAMPION and project.settings.environments:
        last = list(project.settings.environments)[-1]
        msg = f"'{CHAMPION}' is the version in charge in {last}: only a release moves it"
        raise NotAllowed(msg, hint=f"cd4ml release MODEL/NUMBER --to {last}")


def _require_text(description: str) -> None:
    if len(description) > _LONGEST_TEXT:
        msg = f"a description has at most {_LONGEST_TEXT:,} characters, got {len(description):,}"
        raise InvalidInput(msg, hint="put the rest into the repository, and a link here")
    if found := problem(description):
        raise InvalidInput(f"the description cannot be stored: {found}")
