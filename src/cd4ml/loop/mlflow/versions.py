"""Versions of registered models, as MLflow's clients make, find and describe them.

A version keeps the files that lay at its source when it was registered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cd4ml.engines.mlflow import entities
from cd4ml.engines.mlflow import registry_messages as messages
from cd4ml.engines.mlflow.messages import Search
from cd4ml.engines.mlflow.search_language import (
    MODEL_VERSIONS,
    Comparison,
    Order,
    holds,
    parse_filter,
)
from cd4ml.errors import Conflict
from cd4ml.loop.mlflow.folders import model_files
from cd4ml.loop.mlflow.ids import run_of
from cd4ml.loop.mlflow.paging import page_of
from cd4ml.loop.mlflow.registered import (
    IS_PROMPT,
    MOST,
    RUN_LINK,
    Answered,
    orders_in,
    pairs_of,
    refuse_champion,
    sort_by,
    told_versions,
    version_named,
)
from cd4ml.loop.mlflow.sources import files_at
from cd4ml.loop.mlflow.told import ARTIFACTS
from cd4ml.models import registry
from cd4ml.records.model_version import Alias, ModelVersion
from cd4ml.release.champion import CHAMPION
from cd4ml.store import rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from cd4ml.store.project import Project

_USUAL = 10_000  # versions of a page


def create_version(project: Project, asked: messages.CreateModelVersion, actor: str) -> Answered:
    """A new version, made of the files that lie at the source now.

    Raises:
        NotFound: If there is no such model, run or source.
        InvalidInput: If cd4ml does not have the source's files.
    """
    tags = pairs_of(asked.tags) | ({RUN_LINK: asked.run_link} if asked.run_link else {})
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
        return {"model_version": told_versions(connection, [made])[0]}


def get_version(project: Project, asked: messages.VersionAsked, actor: str) -> Answered:
    """A version.

    Raises:
        NotFound: If there is none.
    """
    with project.database.read() as connection:
        found = version_named(connection, asked.name, asked.version)
        return {"model_version": told_versions(connection, [found])[0]}


def update_version(project: Project, asked: messages.UpdateVersion, actor: str) -> Answered:
    """Say what a version is.

    Raises:
        NotFound: If there is none.
    """
    with project.database.write() as connection:
        found = version_named(connection, asked.name, asked.version)
        at = project.clock.now()
        registry.describe(connection, found, asked.description, by=actor, at=at)
        now = registry.version(connection, found.model, found.number)
        return {"model_version": told_versions(connection, [now])[0]}


def delete_version(project: Project, asked: messages.VersionAsked, actor: str) -> Answered:
    """Hide a version, and take away its aliases.

    Raises:
        NotFound: If there is none.
        Conflict: If a release needs it.
    """
    with project.database.write() as connection:
        found = version_named(connection, asked.name, asked.version)
        if any(each.name == CHAMPION for each in _pointing(connection, found)):
            refuse_champion(project, CHAMPION)
        registry.delete_version(connection, found, by=actor, at=project.clock.now())
    return {}


def search_versions(project: Project, asked: Search, actor: str) -> Answered:
    """Versions that fit, those that changed last first unless another order is asked for.

    Raises:
        InvalidInput: If the filter, the order or the page cannot be.
    """
    comparisons = parse_filter(asked.filter, MODEL_VERSIONS)
    orders = orders_in(asked.order_by, MODEL_VERSIONS)
    page = page_of(asked.page_token, asked.max_results, usual=_USUAL, most=MOST)
    with project.database.read() as connection:
        found = registry.versions(connection, _only_name(comparisons))
        told = told_versions(connection, found)
        fitting = [
            each for each in told if all(holds(one, _of_version(each, one)) for one in comparisons)
        ]
    fitting.sort(key=lambda each: (-each.last_updated_timestamp, each.name, -int(each.version)))
    sort_by(fitting, orders, _of_version)
    shown, token = page.of(fitting)
    return {"model_versions": shown, "next_page_token": token}


def download_uri(project: Project, asked: messages.VersionAsked, actor: str) -> Answered:
    """Where the files of a version lie.

    Raises:
        NotFound: If there is no such version.
    """
    with project.database.read() as connection:
        found = version_named(connection, asked.name, asked.version)
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
        found = version_named(connection, asked.name, asked.version)
        tags, at = {asked.key: asked.value}, project.clock.now()
        registry.set_tags(connection, found, tags, by=actor, at=at)
    return {}


def delete_version_tag(project: Project, asked: messages.VersionTag, actor: str) -> Answered:
    """Take a tag of a version away.

    Raises:
        NotFound: If there is no such version or tag.
    """
    with project.database.write() as connection:
        found = version_named(connection, asked.name, asked.version)
        registry.remove_tag(connection, found, asked.key, by=actor, at=project.clock.now())
    return {}


def _pointing(connection: Connection, version: ModelVersion) -> list[Alias]:
    return rows.find(connection, Alias, model=version.model, number=version.number)


def _of_version(version: entities.ModelVersion, asked: Comparison | Order) -> Any:
    if asked.kind == "tag":
        is_prompt = {IS_PROMPT: "false"}
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
