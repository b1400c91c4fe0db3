"""What is affected if something is wrong, and who is to be told."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from cd4ml.loop.lineage import Lineage, Thing, lineage
from cd4ml.records.approval import Approval
from cd4ml.records.dataset import Dataset, DatasetVersion
from cd4ml.records.model_version import Alias, ModelVersion
from cd4ml.records.plan import Plan
from cd4ml.records.release import ENDED, Release
from cd4ml.records.run import Run
from cd4ml.records.window import Window
from cd4ml.records.worker import Worker
from cd4ml.store import rows
from cd4ml.store.people import SYSTEM
from cd4ml.store.project import Project

_EVERYTHING = 1_000_000


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """An environment that answers with an affected version."""

    environment: str
    version: str
    role: str
    weight_percent: float
    plan: str
    n_processes: int  # that have said so lately


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody to tell, and what they have to do with it."""

    who: str
    why: tuple[str, ...]


class Impact(msgspec.Struct, frozen=True, kw_only=True):
    """What is affected if a thing, or one of its columns, is wrong; the nearest first."""

    of: Thing
    datasets: tuple[str, ...]
    runs: tuple[str, ...]
    models: tuple[str, ...]
    in_charge: tuple[str, ...]  # models that are the champion now
    releases: tuple[str, ...]  # under way or in charge
    endpoints: tuple[Endpoint, ...]
    windows: tuple[str, ...]
    n_predictions: int  # in those windows
    n_things: int
    tell: tuple[Contact, ...]


def impact(project: Project, ref: str, *, column: str = "") -> Impact:
    """What is affected if a thing is wrong: everything that was made from it.

    Args:
        project: Whose graph.
        ref: As `lineage` takes it.
        column: Only what was made from this column, as far as steps declare their columns.

    Raises:
        NotFound: If there is no such thing.
        InvalidInput: If the reference has none of the known forms.
    """
    found = lineage(project, ref, column=column, up=False, limit=_EVERYTHING)
    itself = {found.of.name}  # of what is wrong, too, it is to be told where it is in use
    named = _names(found)
    with project.database.read() as connection:
        versions = {*named.get("model version", ()), *itself}
        releases = _releases(connection, versions)
        windows = _windows(connection, {*named.get("window", ()), *itself})
        return Impact(
            of=found.of,
            datasets=named.get("dataset version", ()),
            runs=named.get("run", ()),
            models=named.get("model version", ()),
            in_charge=_champions(connection, versions),
            releases=tuple(release.ref for release in releases),
            endpoints=_endpoints(connection, versions),
            windows=tuple(window.ref for window in windows),
            n_predictions=sum(window.n_predictions for window in windows),
            n_things=len({thing.address for thing in found.things}),
            tell=_contacts(connection, found, releases),
        )


def _names(found: Lineage) -> dict[str, tuple[str, ...]]:
    """Kind -> names, each once."""
    named: dict[str, dict[str, None]] = {}
    for thing in found.things:
        named.setdefault(thing.kind, {})[thing.name] = None
    return {kind: tuple(names) for kind, names in named.items()}


def _champions(connection: sa.Connection, versions: set[str]) -> tuple[str, ...]:
    aliases = rows.find(connection, Alias, name="champion")
    refs = (f"{alias.model}/{alias.number}" for alias in aliases)
    return tuple(ref for ref in refs if ref in versions)


def _releases(connection: sa.Connection, versions: set[str]) -> list[Release]:
    return [
        release
        for release in rows.find(connection, Release)
        if release.state not in ENDED and f"{release.model}/{release.version}" in versions
    ]


def _endpoints(connection: sa.Connection, versions: set[str]) -> tuple[Endpoint, ...]:
    newest = {(plan.environment, plan.model): plan for plan in rows.find(connection, Plan)}
    workers = rows.find(connection, Worker)
    return tuple(
        Endpoint(
            environment=plan.environment,
            version=arm.ref,
            role=arm.role,
            weight_percent=arm.weight_percent,
            plan=plan.ref,
            n_processes=sum(worker.environment == plan.environment for worker in workers),
        )
        for plan in newest.values()
        for arm in plan.arms
        if arm.ref in versions
    )


def _windows(connection: sa.Connection, refs: set[str]) -> list[Window]:
    return [window for window in rows.find(connection, Window) if window.ref in refs]


def _contacts(
    connection: sa.Connection, found: Lineage, releases: list[Release]
) -> tuple[Contact, ...]:
    """Owners of the data, and those who made, asked for or approved what is in use."""
    reasons: dict[str, dict[str, None]] = {}

    def tell(who: str, why: str) -> None:
        if who and who != SYSTEM:
            reasons.setdefault(who, {})[why] = None

    for name in _datasets(connection, found):
        for dataset in rows.find(connection, Dataset, name=name):
            tell(dataset.owner, f"owns {name}")
    for release in releases:
        version = rows.get(connection, ModelVersion, release.model, release.version)
        tell(rows.get(connection, Run, version.run).created_by, f"trained {version.ref}")
        tell(release.requested_by, f"asked for {release.ref}")
        for approval in rows.find(connection, Approval, release=release.number):
            if approval.decision == "approve":
                tell(approval.decided_by, f"approved {release.ref}")
    return tuple(Contact(who=who, why=tuple(why)) for who, why in reasons.items())


def _datasets(connection: sa.Connection, found: Lineage) -> list[str]:
    addresses = [
        found.of.address,
        *(t.address for t in found.things if t.kind == "dataset version"),
    ]
    return [
        version.dataset
        for address in dict.fromkeys(addresses)
        for version in rows.find(connection, DatasetVersion, digest=address)
    ]
