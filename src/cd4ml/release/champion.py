"""The champion: the version in charge in the last environment."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from cd4ml.records.model_version import Alias
from cd4ml.records.release import Release
from cd4ml.release.environments import Environments, is_last
from cd4ml.store import ledger, rows

CHAMPION = "champion"


def champion(connection: sa.Connection, model: str) -> Alias | None:
    """Which version of a model is its champion; None before the first one."""
    found = rows.find(connection, Alias, model=model, name=CHAMPION)
    return found[0] if found else None


def champion_at(connection: sa.Connection, model: str, moment: datetime) -> int | None:
    """The number of the version that was a model's champion at a moment; None before the first."""
    for entry in ledger.entries(connection, subject=f"{model}@{CHAMPION}"):
        if entry.action == "alias.moved" and entry.at <= moment:
            number: int = entry.details["to"]
            return number
    return None


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
    left = champion(connection, release.model)
    rows.put(
        connection,
        Alias(model=release.model, name=CHAMPION, number=release.version, moved_at=at, moved_by=by),
    )
    ledger.append(
        connection,
        at=at,
        actor=by,
        action="alias.moved",
        subject=f"{release.model}@{CHAMPION}",
        reason=f"{release.ref} is in charge in {release.environment}",
        details={"from": left.number if left else 0, "to": release.version},
    )
