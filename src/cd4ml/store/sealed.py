"""The records that decide, as an entry of the ledger seals them: by name, their digests.

The chain says what was written down, and by whom. A record lies in a table of its own, where the
chain does not reach: the entry that made it, or changed it, has its digest.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import sqlalchemy as sa

from cd4ml.records.actor import Actor
from cd4ml.records.approval import Approval, StandingApproval
from cd4ml.records.model_version import Alias, ModelVersion
from cd4ml.records.plan import Plan
from cd4ml.records.release import Release
from cd4ml.records.run import Run
from cd4ml.records.token import Token
from cd4ml.records.verdict import Verdict
from cd4ml.store import rows
from cd4ml.store.address import address_of_record
from cd4ml.store.tables import TABLES

RECORDS = "records"  # the key in an entry's details
GONE = "gone"  # that of the names of records which were taken away

KINDS: dict[type[msgspec.Struct], str] = {
    Actor: "person",
    Token: "token",
    ModelVersion: "version",
    Alias: "alias",
    Verdict: "verdict",
    Approval: "approval",
    StandingApproval: "standing-approval",
    Release: "release",
    Plan: "plan",
}


MADE = "made"  # the key of `made_of` in a verdict's details


def made_of(run: Run) -> str:
    """The digest of what a run was made of: the code, data and installation people agree to.

    The whole row is not sealed: it may be described later, and be given more parameters.
    """
    made = {"code": run.code, "datasets": run.datasets, "distributions": run.environment}
    return address_of_record(made)


def name_of(record: msgspec.Struct) -> str:
    """What the ledger calls a record: `approval/3`, `person/ruth`, `version/delay/2`."""
    return "/".join([KINDS[type(record)], *map(str, _key(record))])


def seals(connection: sa.Connection, records: Iterable[msgspec.Struct]) -> dict[str, str]:
    """The digests of records as they lie in their tables now, by name.

    They are read again: what a column makes of a value (1 of a float, a time of another zone) is
    what is found there later.
    """
    found = {}
    for record in records:
        there = rows.get(connection, type(record), *_key(record))
        found[name_of(record)] = address_of_record(there)
    return found


def _key(record: msgspec.Struct) -> list[object]:
    return [getattr(record, column.name) for column in TABLES[type(record)].primary_key]
