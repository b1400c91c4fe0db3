"""What registered models and versions look like to MLflow's clients, and how they are sorted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from cd4ml.engines.mlflow import entities
from cd4ml.engines.mlflow.entities import milliseconds
from cd4ml.engines.mlflow.search_language import (
    Comparison,
    Order,
    Vocabulary,
    parse_order,
)
from cd4ml.errors import NotAllowed, NotFound
from cd4ml.loop.mlflow.ids import run_ids
from cd4ml.loop.mlflow.ordering import ordered
from cd4ml.loop.mlflow.sources import model_id_in
from cd4ml.loop.mlflow.told import ARTIFACTS, key_values
from cd4ml.models import aliases, registry
from cd4ml.records.model_version import ModelVersion, RegisteredModel
from cd4ml.release.champion import CHAMPION

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from cd4ml.store.project import Project

IS_PROMPT = "mlflow.prompt.is_prompt"
RUN_LINK = "mlflow.run_link"
MOST = 200_000  # models or versions of a page

Answered = dict[str, object]


def told_model(connection: Connection, model: RegisteredModel) -> entities.RegisteredModel:
    """A registered model with its newest version and its aliases."""
    newest = registry.versions(connection, model.name, newest_first=True)[:1]
    return entities.RegisteredModel(
        name=model.name,
        creation_timestamp=milliseconds(model.created_at),
        last_updated_timestamp=milliseconds(model.changed_at),
        description=model.description,
        latest_versions=told_versions(connection, newest),
        tags=key_values(model.tags),
        aliases=[
            entities.RegisteredModelAlias(alias=each.name, version=str(each.number))
            for each in aliases.aliases_of(connection, model.name)
        ],
    )


def told_versions(
    connection: Connection, versions: list[ModelVersion]
) -> list[entities.ModelVersion]:
    """Versions with the ids of their runs, and the aliases that point at them."""
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
            run_link=version.tags.get(RUN_LINK, ""),
            tags=key_values({k: v for k, v in version.tags.items() if k != RUN_LINK}),
            aliases=pointing.get((version.model, version.number), []),
        )
        for version in versions
    ]


def refuse_champion(project: Project, alias: str) -> None:
    """Let nobody move `champion` by hand where releases do.

    Raises:
        NotAllowed: If the alias is `champion`, and the project has environments.
    """
    if alias == CHAMPION and project.settings.environments:
        last = list(project.settings.environments)[-1]
        msg = f"'{CHAMPION}' is the version in charge in {last}: only a release moves it"
        raise NotAllowed(msg, hint=f"cd4ml release MODEL/NUMBER --to {last}")


def orders_in(asked: list[str], vocabulary: Vocabulary) -> list[Order]:
    """What a list is to be sorted by, the first one deciding first.

    Raises:
        InvalidInput: If there is nothing like it to sort by.
    """
    return [parse_order(each, vocabulary) for each in asked]


def sort_by(
    things: list[Any], orders: list[Order], value: Callable[[Any, Comparison | Order], Any]
) -> None:
    """Sort things in place; `value` says what a thing has of what is asked for."""
    for order in reversed(orders):
        of_thing = partial(_asked, value, order)
        things[:] = ordered(things, of_thing, is_ascending=order.is_ascending)


def _asked(value: Callable[[Any, Order], Any], order: Order, thing: Any) -> Any:
    return value(thing, order)


def pairs_of(tags: list[entities.KeyValue]) -> dict[str, str]:
    """Tags by key."""
    return {tag.key: tag.value for tag in tags}


def version_named(connection: Connection, name: str, number: str) -> ModelVersion:
    """The version with a number, which comes as a text.

    Raises:
        NotFound: If there is no such model or version.
        InvalidInput: If it is no number.
    """
    registry.model(connection, name)
    try:
        return registry.version(connection, *registry.version_in(f"{name}/{number}"))
    except NotFound as error:
        raise NotFound(f"the model {name!r} has no version {number}", hint=error.hint) from None
