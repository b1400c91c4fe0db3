"""Registered models and aliases, as MLflow's clients use them.

Who registers is not asked for a role; `champion` moves by releases alone where the project has
environments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cd4ml.engines.mlflow import registry_messages as messages
from cd4ml.engines.mlflow.entities import milliseconds
from cd4ml.engines.mlflow.faults import NotOffered
from cd4ml.engines.mlflow.messages import Search
from cd4ml.engines.mlflow.search_language import (
    REGISTERED_MODELS,
    Comparison,
    Order,
    holds,
    parse_filter,
)
from cd4ml.errors import InvalidInput
from cd4ml.loop.mlflow.paging import page_of
from cd4ml.loop.mlflow.registered import (
    IS_PROMPT,
    MOST,
    Answered,
    orders_in,
    pairs_of,
    refuse_champion,
    sort_by,
    told_model,
    told_versions,
    version_named,
)
from cd4ml.models import aliases, registry
from cd4ml.records.model_version import RegisteredModel

if TYPE_CHECKING:
    from cd4ml.store.project import Project

_USUAL = 100  # models of a page


def create_model(project: Project, asked: messages.CreateRegisteredModel, actor: str) -> Answered:
    """A new name for versions.

    Raises:
        AlreadyExists: If there is one.
        InvalidInput: If it is no name, or a tag cannot be kept.
        NotOffered: If it is a prompt.
    """
    tags = pairs_of(asked.tags)
    if tags.get(IS_PROMPT) == "true":
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
        return {"registered_model": told_model(connection, made)}


def get_model(project: Project, asked: messages.ModelByName, actor: str) -> Answered:
    """A registered model with its aliases and newest version.

    Raises:
        NotFound: If there is none.
    """
    with project.database.read() as connection:
        found = registry.model(connection, asked.name)
        return {"registered_model": told_model(connection, found)}


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
        return {"registered_model": told_model(connection, registry.model(connection, found.name))}


def delete_model(project: Project, asked: messages.ModelByName, actor: str) -> Answered:
    """Hide a model with its versions.

    Raises:
        NotFound: If there is none.
        Conflict: If a release needs one of its versions.
    """
    with project.database.write() as connection:
        registry.delete_model(connection, asked.name, by=actor, at=project.clock.now())
    return {}


def search_models(project: Project, asked: Search, actor: str) -> Answered:
    """Registered models that fit, by name unless another order is asked for.

    Raises:
        InvalidInput: If the filter, the order or the page cannot be.
    """
    comparisons = parse_filter(asked.filter, REGISTERED_MODELS)
    orders = orders_in(asked.order_by, REGISTERED_MODELS)
    page = page_of(asked.page_token, asked.max_results, usual=_USUAL, most=MOST)
    with project.database.read() as connection:
        fitting = [
            each
            for each in registry.models(connection)
            if all(holds(one, _of_model(each, one)) for one in comparisons)
        ]
        sort_by(fitting, orders, _of_model)
        shown, token = page.of(fitting)
        told = [told_model(connection, each) for each in shown]
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
        told = told_versions(connection, newest) if is_asked else []
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
    refuse_champion(project, asked.alias)
    with project.database.write() as connection:
        version = version_named(connection, asked.name, asked.version)
        at = project.clock.now()
        aliases.move(connection, version.model, asked.alias, version.number, by=actor, at=at)
    return {}


def delete_alias(project: Project, asked: messages.AliasAsked, actor: str) -> Answered:
    """Take an alias away; one that is not there is none, as with MLflow.

    Raises:
        NotFound: If there is no such model.
        NotAllowed: If releases move it.
    """
    refuse_champion(project, asked.alias)
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
        return {"model_version": told_versions(connection, [version])[0]}


def _of_model(model: RegisteredModel, asked: Comparison | Order) -> Any:
    if asked.kind == "tag":
        is_prompt = {IS_PROMPT: "false"}  # what cd4ml registers is none
        return {**is_prompt, **model.tags}.get(asked.key)
    return {
        "name": model.name,
        "creation_timestamp": milliseconds(model.created_at),
        "last_updated_timestamp": milliseconds(model.changed_at),
    }[asked.key]
