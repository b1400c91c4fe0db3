"""The champion: the version in charge in the last environment."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from cd4ml.models import aliases
from cd4ml.records.model_version import Alias
from cd4ml.records.release import Release
from cd4ml.release.environments import Environments, is_last

CHAMPION = "champion"


def champion(connection: sa.Connection, model: str) -> Alias | None:
    """Which version of a model is its champion; None before the first one."""
    return aliases.alias(connection, model, CHAMPION)


def champion_at(connection: sa.Connection, model: str, moment: datetime) -> int | None:
    """The number of the version that was a model's champion at a moment; None before the first."""
    return aliases.pointed_at(connection, model, CHAMPION, moment)


def move_champion(
    connection: sa.Connection,
    release: Release,
    *,
    environments: Environments,
    by: str,
    at: datetime,
) -> None:
    """Let the champion's name point at a release's version, if its environment is the last.

    Atomic with the transaction it is part of. An environment before the last has a version in
    charge (`releases.in_charge`), but candidates are measured against the champion.
    """
    if not is_last(environments, release.environment):
        return
    aliases.move(
        connection,
        release.model,
        CHAMPION,
        release.version,
        why=f"{release.ref} is in charge in {release.environment}",
        by=by,
        at=at,
    )
