"""What a release rests on is what the ledger says of it."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from cd4ml.errors import Corrupted
from cd4ml.records.approval import StandingApproval
from cd4ml.records.release import Release
from cd4ml.records.run import Run
from cd4ml.records.verdict import Verdict
from cd4ml.release.decisions import of_release
from cd4ml.release.plans import version_of
from cd4ml.release.standing import ref as standing_ref
from cd4ml.store import people, rows, vouched
from cd4ml.store.address import short


def require_vouched(
    connection: sa.Connection, release: Release, standing: Iterable[StandingApproval] = ()
) -> None:
    """Let nothing go on whose records are not what the ledger says of them.

    Raises:
        Corrupted: If the release, its version, its verdict, a decision on it or a standing approval
            is not, or if the version is not the model that the release names.
    """
    vouched.require(connection, release, subject=release.ref)
    _require_version(connection, release)
    verdict = rows.get(connection, Verdict, release.verdict)
    vouched.require(connection, verdict, subject=verdict.ref)
    vouched.require_made(connection, verdict, rows.get(connection, Run, verdict.run))
    for each in of_release(connection, release):
        vouched.require(connection, each, subject=release.ref)
    for given in standing:
        vouched.require(connection, given, subject=standing_ref(given))
        people.actor(connection, given.given_by)  # whose roles count as they are now


def _require_version(connection: sa.Connection, release: Release) -> None:
    """What would go is what the release names: approvals count for exactly this."""
    version = version_of(connection, release)
    vouched.require(connection, version, subject=version.ref)
    goes = {"model": version.artifact, "contract": version.contract}
    for name, digest in goes.items():
        if digest != release.decides[name]:
            was, now = short(release.decides[name]), short(digest)
            msg = f"{release.ref} names the {name} {was}, and {version.ref} has {now}"
            raise Corrupted(msg, hint="request it anew, and look at what it is")
