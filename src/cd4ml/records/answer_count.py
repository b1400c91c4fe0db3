"""How many answers a version gave in an hour."""

from __future__ import annotations

from datetime import datetime

import msgspec

from cd4ml.records.plan import Role


class AnswerCount(msgspec.Struct, frozen=True, kw_only=True):
    """The collected answers of one version in one role during one hour.

    A shadow's answers count too, under its role: nobody was given them.
    """

    model: str
    number: int
    environment: str
    role: Role
    hour: datetime  # when it began, UTC
    n: int
