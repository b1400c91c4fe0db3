"""What going back took: the time to restore."""

from __future__ import annotations

import msgspec

from cd4ml.errors import NotFound
from cd4ml.records.release import Release
from cd4ml.store import ledger
from cd4ml.store.project import Project

_UNDONE = "release.undone"
_TOLD = ("in_charge_s", "since", "time_to_restore_s", "took_s")


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """A release that is in charge again, and what that took.

    `undone` was in charge for `in_charge_s` seconds. `time_to_restore_s` counts from `since`: the
    first alert about it, or the release itself. `took_s` is from being asked for to being written.
    """

    release: Release
    undone: str
    in_charge_s: float
    since: str
    time_to_restore_s: float
    took_s: float


def restored(project: Project, release: Release) -> Restored:
    """What going back to a release took, as the ledger has it.

    Raises:
        NotFound: If nobody went back to it.
    """
    with project.database.read() as connection:
        for entry in ledger.of_action(connection, _UNDONE):
            if entry.details.get("restored") == release.ref:
                told = {key: entry.details[key] for key in _TOLD}
                return Restored(release=release, undone=entry.subject, **told)
    raise NotFound(f"nobody went back to {release.ref}")
