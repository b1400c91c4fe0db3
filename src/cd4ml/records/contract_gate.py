"""`kind = "contract"`: a candidate breaks nobody who calls the model as they do today."""

from __future__ import annotations

from typing import Literal

import msgspec

Bump = Literal["major", "minor", "patch", "none"]


class ContractGate(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="contract",
):
    """`kind = "contract"`: the candidate's contract and answers beside those in charge.

    A change of the contract that breaks consumers needs a higher major version; with `is_strict`
    a compatible one needs a higher minor version too. The newest `requests` on record are put
    to the candidate: at most the share `refused_at_most` of them may be refused. With
    `moved_at_most` 95 of 100 answers differ from those on record by no more than this. Budgets
    that the contract states (`latency_ms`, `size_mb`) are kept.

    `environment` is whose requests are taken, by default the last one's.
    """

    environment: str = ""
    requests: int = 1000
    refused_at_most: float = 0.0
    moved_at_most: float | None = None
    is_strict: bool = False


class Change(msgspec.Struct, frozen=True):
    """One difference between two contracts.

    `field` is the field it is about: "" for the answer and the budgets. `bump` is the part of
    the version that it asks to be raised; `words` says what was and what is.
    """

    field: str
    bump: Bump
    words: str


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Requests on record that a contract would refuse, for one reason."""

    field: str
    expected: str
    n_requests: int


class Moves(msgspec.Struct, frozen=True, kw_only=True):
    """How far answers differ from those on record, whichever way."""

    n_answers: int
    mean: float
    median: float
    most: float  # of 95 of 100 answers
    largest: float
    n_flips: int | None = None  # answers on the other side of one half; of probabilities


class ContractEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """The candidate's contract, runtime and answers beside the version in charge.

    `before` is that version, "" without one; the changes are those from its contract. `problem`
    says why one of the versions cannot be told. Values of `masked` fields are not held against
    the contract, and requests that have such a field are not answered again.
    """

    name: str
    version: str
    before: str = ""
    before_version: str = ""
    changes: tuple[Change, ...] = ()
    needed: Bump = "none"
    is_raised: bool = True  # whether the version is ahead by what is needed
    is_major_raised: bool = False
    next_version: str = ""  # what the contract would have to be called
    problem: str = ""
    environment: str = ""
    n_requests: int = 0
    n_refused: int = 0
    refusals: tuple[Refusal, ...] = ()
    n_failed: int = 0  # requests that are taken, and then not answered
    moves: Moves | None = None
    masked: tuple[str, ...] = ()  # fields that `[capture]` keeps from the record of requests
    latency_ms: float | None = None  # 99 of 100 single answers of the bare runtime
    latency_budget_ms: float | None = None
    n_timed: int = 0
    size_mb: float | None = None
    size_budget_mb: float | None = None
