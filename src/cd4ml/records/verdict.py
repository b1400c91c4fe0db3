"""What the gates say about a candidate."""

from __future__ import annotations

from datetime import datetime

import msgspec

from cd4ml.records.finding import Finding, Outcome


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """All findings on one candidate under one policy, kept for ever.

    `policy` and `holdout` are the content addresses of the gates that were asked
    and of the rows that were judged; `champion` is the version it was compared
    with ("" if there was none). `evidence` says under which content address each
    thing lies that the judge saw, by its name ("rows", "judged", a kind of gate): from
    there it can be judged again.
    """

    number: int
    model: str
    run: int
    artifact: str
    policy: str
    holdout: str
    champion: str = ""
    evidence: dict[str, str] = {}
    findings: tuple[Finding, ...]
    outcome: Outcome
    judged_at: datetime
    judged_by: str

    @property
    def ref(self) -> str:
        """`verdict/number`."""
        return f"verdict/{self.number}"
