"""What people say about models and versions: descriptions and tags."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec
import sqlalchemy as sa

from cd4ml.errors import NotFound
from cd4ml.models.registry.entries import say, subject
from cd4ml.models.registry.names import require_tag
from cd4ml.records.model_version import ModelVersion, RegisteredModel
from cd4ml.store import rows


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
    say(connection, changed, "described", by=by, at=at, description=description)


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
    say(connection, changed, "tagged", by=by, at=at, tags=dict(tags))


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
        raise NotFound(f"{subject(thing)} has no tag {tag!r}", hint=f"known: {known}")
    left = {name: value for name, value in thing.tags.items() if name != tag}
    changed = msgspec.structs.replace(thing, tags=left, changed_at=at)
    rows.replace(connection, changed)
    say(connection, changed, "untagged", by=by, at=at, tag=tag)
