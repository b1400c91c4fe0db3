"""`kind = "data"`: what taught the candidate keeps its contracts, and what was seen of that."""

from __future__ import annotations

import msgspec

from cd4ml.records.finding import Finding


class DataGate(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="data",
):
    """`kind = "data"`: each dataset that the candidate's run read keeps its contract.

    `datasets` names those that are asked; () asks all of them. `quarantined_at_most` is the share
    of the rows that came which the contract may have set aside. `allow` names what may be
    otherwise, each with the reason: a dataset without a contract (`labelled`), or a broken rule
    of one (`flights: dep_delay at most 4320`).
    """

    datasets: tuple[str, ...] = ()
    quarantined_at_most: float | None = None
    allow: dict[str, str] = {}


class CheckedDataset(msgspec.Struct, frozen=True, kw_only=True):
    """What a contract says of the version of a dataset that the run read.

    `contract` is its name and version, "" without one. `problem` says why it could not be asked,
    `is_empty` that nothing had come yet when the run began.
    """

    dataset: str
    ref: str
    contract: str = ""
    n_rows: int = 0
    n_quarantined: int = 0
    findings: tuple[Finding, ...] = ()
    problem: str = ""
    is_empty: bool = False


class DataEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """The datasets of a run, by name."""

    datasets: tuple[CheckedDataset, ...] = ()
