"""What a serving process needs when the database and the blob store are away."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from cd4ml.models.kept import KeptModels
from cd4ml.records.plan import Plan


class Known(msgspec.Struct, frozen=True):
    """The last plan that was loaded, and the pickles it loaded as this project's own."""

    plan: Plan
    trusted: tuple[str, ...]


class LastKnown(KeptModels):
    """A folder with the last known plan and the files of its models, by digest.

    Two servers of one environment may share it: the plan is replaced whole, the files are
    immutable and verified whenever they are read.

    Raises:
        Unavailable: If the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "plan.json")

    def read(self) -> Known | None:
        """What was remembered; None if nothing was.

        Raises:
            msgspec.MsgspecError: If the file is damaged.
        """
        return self.recall(Known)

    def remember(self, plan: Plan, trusted: Iterable[str]) -> None:
        """Replace what is remembered; call it once all of the plan's models are here."""
        self.keep(Known(plan, tuple(sorted(trusted))))
