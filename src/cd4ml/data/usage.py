"""What became of a dataset: how its versions kept their contracts, and who uses it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from cd4ml.records.dataset import DatasetVersion
from cd4ml.records.finding import Outcome
from cd4ml.records.ledger_entry import LedgerEntry
from cd4ml.records.lineage import Edge
from cd4ml.records.run import Run
from cd4ml.store import rows
from cd4ml.store.tables import TABLES, TEXT

READ = "dataset.read"  # the ledger's word for a recorded read
VERSIONED = "dataset.versioned"

_LAST = 10  # versions
_VERSIONS, _EDGES, _RUNS, _LEDGER = (
    TABLES[kind] for kind in (DatasetVersion, Edge, Run, LedgerEntry)
)


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """How one version kept its contract: the outcome, and the rules it broke."""

    ref: str
    outcome: Outcome
    broken: tuple[str, ...]
    n_rows: int
    at: datetime


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """How often one actor used a dataset, and when last."""

    actor: str
    n_runs: int
    n_reads: int  # recorded ones: those of restricted datasets
    last_at: datetime


def quality_of(connection: sa.Connection, dataset: str) -> tuple[Checked, ...]:
    """How the last ten versions kept their contracts, the newest first."""
    newest = rows.find(connection, DatasetVersion, dataset=dataset, newest_first=True, limit=_LAST)
    broken = _broken(connection, [version.ref for version in newest])
    return tuple(
        Checked(
            ref=version.ref,
            outcome=version.outcome,
            broken=broken.get(version.ref, ()),
            n_rows=version.n_rows,
            at=version.created_at,
        )
        for version in newest
    )


def usage_of(connection: sa.Connection, dataset: str) -> tuple[Use, ...]:
    """Who took a dataset into runs or read it, whoever did so last first."""
    found: dict[str, Use] = {}
    for actor, n_runs, last_at in connection.execute(_runs_of(dataset)):
        found[actor] = Use(actor=actor, n_runs=n_runs, n_reads=0, last_at=last_at)
    for actor, n_reads, last_at in connection.execute(_reads_of(dataset)):
        known = found.get(actor) or Use(actor=actor, n_runs=0, n_reads=0, last_at=last_at)
        latest = max(known.last_at, last_at)
        found[actor] = msgspec.structs.replace(known, n_reads=n_reads, last_at=latest)
    return tuple(sorted(found.values(), key=lambda use: (use.last_at, use.actor), reverse=True))


def _broken(connection: sa.Connection, refs: list[str]) -> dict[str, tuple[str, ...]]:
    statement = sa.select(_LEDGER).where(_LEDGER.c.subject.in_(refs), _LEDGER.c.action == VERSIONED)
    entries = rows.fetch(connection, LedgerEntry, statement)
    return {each.subject: tuple(each.details.get("broken", ())) for each in entries}


def _runs_of(dataset: str) -> sa.Select[Any]:
    """`actor`, how many of their runs took a version, when the last of them began."""
    digests = sa.select(_VERSIONS.c.digest).where(_VERSIONS.c.dataset == dataset)
    ref = sa.literal("run/", TEXT) + sa.cast(_RUNS.c.number, TEXT)
    taken = sa.select(_EDGES.c.child).where(_EDGES.c.parent.in_(digests))
    last = sa.func.max(_RUNS.c.started_at, type_=_RUNS.c.started_at.type)
    return (
        sa.select(_RUNS.c.created_by, sa.func.count(), last)
        .where(ref.in_(taken))
        .group_by(_RUNS.c.created_by)
    )


def _reads_of(dataset: str) -> sa.Select[Any]:
    """`actor`, how many of their reads were recorded, when the last of them was."""
    subjects = sa.select(sa.literal(f"{dataset}@", TEXT) + sa.cast(_VERSIONS.c.number, TEXT))
    last = sa.func.max(_LEDGER.c.at, type_=_LEDGER.c.at.type)
    return (
        sa.select(_LEDGER.c.actor, sa.func.count(), last)
        .where(
            _LEDGER.c.subject.in_(subjects.where(_VERSIONS.c.dataset == dataset)),
            _LEDGER.c.action == READ,
        )
        .group_by(_LEDGER.c.actor)
    )
