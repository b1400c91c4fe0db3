"""The champion: the version in charge in the last environment."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from cd4ml.models import aliases
from cd4ml.records.model_version import Alias
from cd4ml.records.release import Release
from cd4ml.records.verdict import Verdict
from cd4ml.release.environments import Environments, is_last, settings_of
from cd4ml.release.releases import in_charge
from cd4ml.store import rows

CHAMPION = "champion"


def champion(connection: sa.Connection, model: str) -> Alias | None:
    """Which version of a model is its champion; None before the first one."""
    return aliases.alias(connection, model, CHAMPION)


def champion_at(connection: sa.Connection, model: str, moment: datetime) -> int | None:
    """The number of the version that was a model's champion at a moment; None before the first."""
    return aliases.pointed_at(connection, model, CHAMPION, moment)


def champion_ref(connection: sa.Connection, model: str, environments: Environments) -> str:
    """The version with which candidates are compared: "delay/3"; "" before the first one."""
    names = [*environments]
    there = in_charge(connection, model, names[-1]) if names else None
    return f"{there.model}/{there.version}" if there else ""


def unlike_champion(connection: sa.Connection, release: Release, environments: Environments) -> str:
    """Why a release's verdict says too little: the champion of now was not looked at.

    Args:
        connection: Of a transaction.
        release: On its way into an environment.
        environments: All of them, in the order of `cd4ml.toml`.

    Returns:
        "delay/4 was judged beside no version, and delay/3 is in charge in production"; "" where it
        was judged beside the champion, is that itself, there is none, or the environment asks
        for no verdict at all.
    """
    version = f"{release.model}/{release.version}"
    now = champion_ref(connection, release.model, environments)
    if not release.verdict or settings_of(environments, release.environment).verdicts == ():
        return ""
    beside = rows.get(connection, Verdict, release.verdict).champion
    if now in ("", version, beside):
        return ""
    where = [*environments][-1]
    return (
        f"{version} was judged beside {beside or 'no version'}, and {now} is in charge in {where}"
    )


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
