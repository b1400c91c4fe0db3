"""The registry, as MLflow's clients use it: models, versions, aliases, tags.

A version keeps the files that lay at its source when it was registered. Who registers is not
asked for a role; `champion` moves by releases alone where the project has environments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cd4ml.engines.mlflow import entities, messages
from cd4ml.engines.mlflow.entities import milliseconds
from cd4ml.engines.mlflow.faults import NotOffered
from cd4ml.engines.mlflow.search_language import (
    MODEL_VERSIONS,
    REGISTERED_MODELS,
    Comparison,
    Order,
    Vocabulary,
    holds,
    parse_filter,
    parse_order,
)
from cd4ml.errors import Conflict, InvalidInput, NotAllowed, NotFound
from cd4ml.loop.mlflow.folders import model_files
from cd4ml.loop.mlflow.ids import run_ids, run_of
from cd4ml.loop.mlflow.paging import page_of
from cd4ml.loop.mlflow.sources import files_at, model_id_in
from cd4ml.loop.mlflow.told import ARTIFACTS, key_values
from cd4ml.models import aliases, registry
from cd4ml.records.model_version import Alias, ModelVersion, RegisteredModel
from cd4ml.release.champion import CHAMPION
from cd4ml.store import rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from cd4ml.store.project import Project

_IS_PROMPT = "mlflow.prompt.is_prompt"
_RUN_LINK = "mlflow.run_link"
_USUAL_MODELS, _USUAL_VERSIONS, _MOST = 100, 10_000, 200_000

Answered = dict[str, object]


def create_model(project: Project, asked: messages.CreateRegisteredModel, actor: str) -> Answered:
    """A new name for versions.

    Raises:
        AlreadyExists: If there is one.
        InvalidInput: If it is no name, or a tag cannot be kept.
        NotOffered: If it is a prompt.
    """
    tags = _pairs(asked.tags)
    if tags.get(_IS_PROMPT) == "true":
        raise NotOffered(
            "cd4ml does not offer MLflow's prompts", hint="keep them in the repository"
        )
    registry.require_tags(tags)
    with project.database.write() as connection:
        made = registry.register(
            connection,
            asked.name,
            description=asked.description,
            tags=tags,
            by=actor,
            at=project.clock.now(),
        )
        return {"registered_model": _told_model(connection, made)}


def get_model(project: Project, asked: messages.ModelByName, actor: str) -> Answered:
    """A registered model with its aliases and newest version.

    Raises:
        NotFound: If there is none.
    """
    with project.database.read() as connection:
        found = registry.model(connection, asked.name)
        return {"registered_model": _told_model(connection, found)}


def rename_model(project: Project, asked: messages.RenameModel, actor: str) -> Answered:
    """Never done: approvals, releases and predictions name their model.

    Raises:
        NotOffered: Always.
    """
    msg = f"cd4ml does not rename models: what was decided about {asked.name!r} names it so"
    raise NotOffered(msg, hint="register its versions under the new name")


def update_model(project: Project, asked: messages.UpdateModel, actor: str) -> Answered:
    """Say what a model is for.

    Raises:
        NotFound: If there is none.
    """
    with project.database.write() as connection:
        found = registry.model(connection, asked.name)
        at = project.clock.now()
        registry.describe(connection, found, asked.description, by=actor, at=at)
        return {"registered_model": _told_model(connection, registry.model(connection, found.name))}


def delete_model(project: Project, asked: messages.ModelByName, actor: str) -> Answered:
    """Hide a model with its versions.

    Raises:
        NotFound: If there is none.
        Conflict: If a release needs one of its versions.
    """
    with project.database.write() as connection:
        registry.delete_model(connection, asked.name, by=actor, at=project.clock.now())
    return {}


def search_models(project: Project, asked: messages.Search, actor: str) -> Answered:
    """Registered models that fit, by name unless another order is asked for.

    Raises:
        InvalidInput: If the filter, the order or the page cannot be.
    """
    comparisons = parse_filter(asked.filter, REGISTERED_MODELS)
    orders = _orders(asked.order_by, REGISTERED_MODELS)
    page = page_of(asked.page_token, asked.max_results, usual=_USUAL_MODELS, most=_MOST)
    with project.database.read() as connection:
        fitting = [
            each
            for each in registry.models(connection)
            if all(holds(one, _of_model(each, one)) for one in comparisons)
        ]
        _sort(fitting, orders, _of_model)
        shown, token = page.of(fitting)
        told = [_told_model(connection, each) for each in shown]
    return {"registered_models": told, "next_page_token": token}


def latest_versions(project: Project, asked: messages.LatestVersions, actor: str) -> Answered:
    """The newest version of a model: cd4ml has no stages, so it is of the stage None.

    Raises:
        NotFound: If there is no such model.
    """
    with project.database.read() as connection:
        found = registry.model(connection, asked.name)
        newest = registry.versions(connection, found.name, newest_first=True)[:1]
        is_asked = not asked.stages or "none" in [stage.lower() for stage in asked.stages]
        told = _told_versions(connection, newest) if is_asked else []
    return {"model_versions": told}


def set_model_tag(project: Project, asked: messages.ModelTag, actor: str) -> Answered:
    """Tag a model.

    Raises:
        NotFound: If there is none.
        InvalidInput: If the tag cannot be kept.
    """
    with project.database.write() as connection:
        found = registry.model(connection, asked.name)
        tags, at = {asked.key: asked.value}, project.clock.now()
        registry.set_tags(connection, found, tags, by=actor, at=at)
    return {}


def delete_model_tag(project: Project, asked: messages.ModelTag, actor: str) -> Answered:
    """Take a tag of a model away.

    Raises:
        NotFound: If there is no such model or tag.
    """
    with project.database.write() as connection:
        found = registry.model(connection, asked.name)
        registry.remove_tag(connection, found, asked.key, by=actor, at=project.clock.now())
    return {}


def set_alias(project: Project, asked: messages.SetAlias, actor: str) -> Answered:
    """Point an alias at a version.

    Raises:
        NotFound: If there is no such version.
        NotAllowed: If releases move it: `champion`, where there are environments.
        InvalidInput: If it is no name for an alias.
    """
    _refuse_champion(project, asked.alias)
    with project.database.write() as connection:
        version = _version(connection, asked.name, asked.version)
        at = project.clock.now()
        aliases.move(connection, version.model, asked.alias, version.number, by=actor, at=at)
    return {}


def delete_alias(project: Project, asked: messages.AliasAsked, actor: str) -> Answered:
    """Take an alias away; one that is not there is none, as with MLflow.

    Raises:
        NotFound: If there is no such model.
        NotAllowed: If releases move it.
    """
    _refuse_champion(project, asked.alias)
    with project.database.write() as connection:
        registry.model(connection, asked.name)
        if aliases.alias(connection, asked.name, asked.alias) is not None:
            at = project.clock.now()
            aliases.remove(connection, asked.name, asked.alias, by=actor, at=at)
    return {}


def version_by_alias(project: Project, asked: messages.AliasAsked, actor: str) -> Answered:
    """The version that an alias points at.

    Raises:
        NotFound: If it points nowhere. (To MLflow that is an invalid parameter.)
    """
    with project.database.read() as connection:
        registry.model(connection, asked.name)
        pointed = aliases.alias(connection, asked.name, asked.alias)
        if pointed is None:
            known = ", ".join(each.name for each in aliases.aliases_of(connection, asked.name))
            msg = f"no alias named '{asked.name}@{asked.alias}'"
            raise InvalidInput(msg, hint=f"known: {known or 'none yet'}")
        version = registry.version(connection, asked.name, pointed.number)
        return {"model_version": _told_versions(connection, [version])[0]}


def create_version(project: Project, asked: messages.CreateModelVersion, actor: str) -> Answered:
    """A new version, made of the files that lie at the source now.

    Raises:
        NotFound: If there is no such model, run or source.
        InvalidInput: If cd4ml does not have the source's files.
    """
    tags = _pairs(asked.tags) | ({_RUN_LINK: asked.run_link} if asked.run_link else {})
    registry.require_tags(tags)
    with project.database.read() as connection:
        registry.model(connection, asked.name)
        found = files_at(project, connection, asked.source, model_id=asked.model_id)
    files = {path: address for path, (address, _) in found.files.items()}
    logged = project.blobs.put_record(model_files(project, asked.name, files))
    with project.database.write() as connection:
        run = run_of(connection, asked.run_id).number if asked.run_id else found.run
        made = registry.add_version(
            connection,
            asked.name,
            run=run,
            logged=logged,
            source=f"models:/{found.model}" if found.model else asked.source,
            description=asked.description,
            tags=tags,
            why="registered by an MLflow client",
            by=actor,
            at=project.clock.now(),
        )
        return {"model_version": _told_versions(connection, [made])[0]}


def get_version(project: Project, asked: messages.VersionAsked, actor: str) -> Answered:
    """A version.

    Raises:
        NotFound: If there is none.
    """
    with project.database.read() as connection:
        found = _version(connection, asked.name, asked.version)
        return {"model_version": _told_versions(connection, [found])[0]}


def update_version(project: Project, asked: messages.UpdateVersion, actor: str) -> Answered:
    """Say what a version is.

    Raises:
        NotFound: If there is none.
    """
    with project.database.write() as connection:
        found = _version(connection, asked.name, asked.version)
        at = project.clock.now()
        registry.describe(connection, found, asked.description, by=actor, at=at)
        now = registry.version(connection, found.model, found.number)
        return {"model_version": _told_versions(connection, [now])[0]}


def delete_version(project: Project, asked: messages.VersionAsked, actor: str) -> Answered:
    """Hide a version, and take away its aliases.

    Raises:
        NotFound: If there is none.
        Conflict: If a release needs it.
    """
    with project.database.write() as connection:
        found = _version(connection, asked.name, asked.version)
        if any(each.name == CHAMPION for each in _pointing(connection, found)):
            _refuse_champion(project, CHAMPION)
        registry.delete_version(connection, found, by=actor, at=project.clock.now())
    return {}


def search_versions(project: Project, asked: messages.Search, actor: str) -> Answered:
    """Versions that fit, those that changed last first unless another order is asked for.

    Raises:
        InvalidInput: If the filter, the order or the page cannot be.
    """
    comparisons = parse_filter(asked.filter, MODEL_VERSIONS)
    orders = _orders(asked.order_by, MODEL_VERSIONS)
    page = page_of(asked.page_token, asked.max_results, usual=_USUAL_VERSIONS, most=_MOST)
    with project.database.read() as connection:
        found = registry.versions(connection, _only_name(comparisons))
        told = _told_versions(connection, found)
        fitting = [
            each for each in told if all(holds(one, _of_version(each, one)) for one in comparisons)
        ]
    fitting.sort(key=lambda each: (-each.last_updated_timestamp, each.name, -int(each.version)))
    _sort(fitting, orders, _of_version)
    shown, token = page.of(fitting)
    return {"model_versions": shown, "next_page_token": token}


def download_uri(project: Project, asked: messages.VersionAsked, actor: str) -> Answered:
    """Where the files of a version lie.

    Raises:
        NotFound: If there is no such version.
    """
    with project.database.read() as connection:
        found = _version(connection, asked.name, asked.version)
    if not (found.logged or found.artifact):
        raise Conflict(f"{found.ref} has no files yet", hint=f"cd4ml model package {found.ref}")
    return {"artifact_uri": f"{ARTIFACTS}/versions/{found.ref}"}


def set_version_tag(project: Project, asked: messages.VersionTag, actor: str) -> Answered:
    """Tag a version.

    Raises:
        NotFound: If there is none.
        InvalidInput: If the tag cannot be kept.
    """
    with project.database.write() as connection:
        found = _version(connection, asked.name, asked.version)
        tags, at = {asked.key: asked.value}, project.clock.now()
        registry.set_tags(connection, found, tags, by=actor, at=at)
    return {}


def delete_version_tag(project: Project, asked: messages.VersionTag, actor: str) -> Answered:
    """Take a tag of a version away.

    Raises:
        NotFound: If there is no such version or tag.
    """
    with project.database.write() as connection:
        found = _version(connection, asked.name, asked.version)
        registry.remove_tag(connection, found, asked.key, by=actor, at=project.clock.now())
    return {}


def _version(connection: Connection, name: str, number: str) -> ModelVersion:
    registry.model(connection, name)
    try:
        return registry.version(connection, *registry.version_in(f"{name}/{number}"))
    except NotFound as error:
        raise NotFound(f"the model {name!r} has no version {number}", hint=error.hint) from None


def _told_model(connection: Connection, model: RegisteredModel) -> entities.RegisteredModel:
    newest = registry.versions(connection, model.name, newest_first=True)[:1]
    return entities.RegisteredModel(
        name=model.name,
        creation_timestamp=milliseconds(model.created_at),
        last_updated_timestamp=milliseconds(model.changed_at),
        description=model.description,
        latest_versions=_told_versions(connection, newest),
        tags=key_values(model.tags),
        aliases=[
            entities.RegisteredModelAlias(alias=each.name, version=str(each.number))
            for each in aliases.aliases_of(connection, model.name)
        ],
    )


def _told_versions(
    connection: Connection, versions: list[ModelVersion]
) -> list[entities.ModelVersion]:
    ids = run_ids(connection, {version.run for version in versions})
    names = {version.model for version in versions}
    pointing: dict[tuple[str, int], list[str]] = {}
    for name in names:
        for each in aliases.aliases_of(connection, name):
            pointing.setdefault((name, each.number), []).append(each.name)
    return [
        entities.ModelVersion(
            name=version.model,
            version=str(version.number),
            creation_timestamp=milliseconds(version.created_at),
            last_updated_timestamp=milliseconds(version.changed_at or version.created_at),
            user_id=version.created_by,
            current_stage="None",
            status="READY",
            description=version.description,
            source=version.source or f"{ARTIFACTS}/versions/{version.ref}",
            run_id=ids[version.run] if version.run else "",
            model_id=model_id_in(version.source),
            run_link=version.tags.get(_RUN_LINK, ""),
            tags=key_values({k: v for k, v in version.tags.items() if k != _RUN_LINK}),
            aliases=pointing.get((version.model, version.number), []),
        )
        for version in versions
    ]


def _pointing(connection: Connection, version: ModelVersion) -> list[Alias]:
    return rows.find(connection, Alias, model=version.model, number=version.number)


def _refuse_champion(project: Project, alias: str) -> None:
    if alias == CHAMPION and project.settings.environments:
        last = list(project.settings.environments)[-1]
        msg = f"'{CHAMPION}' is the version in charge in {last}: only a release moves it"
        raise NotAllowed(msg, hint=f"cd4ml release MODEL/NUMBER --to {last}")


def _orders(asked: list[str], vocabulary: Vocabulary) -> list[Order]:
    return [parse_order(each, vocabulary) for each in asked]


def _sort(
    things: list[Any], orders: list[Order], value: Callable[[Any, Comparison | Order], Any]
) -> None:
    for order in reversed(orders):
        things.sort(key=lambda thing: value(thing, order) or "", reverse=not order.is_ascending)


def _of_model(model: RegisteredModel, asked: Comparison | Order) -> Any:
    if asked.kind == "tag":
        is_prompt = {_IS_PROMPT: "false"}  # what cd4ml registers is none
        return {**is_prompt, **model.tags}.get(asked.key)
    return {
        "name": model.name,
        "creation_timestamp": milliseconds(model.created_at),
        "last_updated_timestamp": milliseconds(model.changed_at),
    }[asked.key]


def _of_version(version: entities.ModelVersion, asked: Comparison | Order) -> Any:
    if asked.kind == "tag":
        is_prompt = {_IS_PROMPT: "false"}
        return {**is_prompt, **{tag.key: tag.value for tag in version.tags}}.get(asked.key)
    if asked.key in ("version", "version_number"):
        return int(version.version)
    return getattr(version, "source" if asked.key == "source_path" else asked.key)


def _only_name(comparisons: list[Comparison]) -> str:
    """The one model that a filter asks for; "" for several."""
    for each in comparisons:
        if (each.kind, each.key, each.comparator) == ("attribute", "name", "="):
            return str(each.value)
    return ""


def _pairs(tags: list[entities.KeyValue]) -> dict[str, str]:
    return {tag.key: tag.value for tag in tags}
