"""`kind = "skew"`: what the model is asked in production is what it learned from."""

from __future__ import annotations

from datetime import datetime

import msgspec


class SkewGate(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="skew",
):
    """`kind = "skew"`: the newest captured `requests` beside the training rows.

    The answers on record are those that the fitted estimator gives, within `answers_within`.
    Values that no training row has (a text, or a number outside their range) are at most
    `unseen_at_most` of a column; a column is missing in at most `missing_at_most` more of the
    rows than it was in training. With `moved_at_most` the stability index of each column is
    judged too, beyond what chance gives.

    `step` names a step of the pipeline that makes columns of the request. With `takes`
    captured rows are given to it as this input, and with `key` its stored rows are found by the
    caller's key in this column. Either way it has to give what the model saw.

    `environment` is whose requests are taken, by default the last one's. `allow` names columns
    that may differ, each with the reason.
    """

    environment: str = ""
    requests: int = 1000
    answers_within: float = 1e-5
    unseen_at_most: float = 0.05
    missing_at_most: float = 0.05
    moved_at_most: float | None = None
    step: str = ""
    takes: str = ""
    key: str = ""
    allow: dict[str, str] = {}


class ServedColumn(msgspec.Struct, frozen=True, kw_only=True):
    """One column of captured requests beside the same column of the training rows.

    `training` and `served` are counts in the same bins, the missing values last.
    """

    column: str
    n_served: int
    missing_training: float  # share of the training rows
    n_missing: int  # of the captured ones
    n_unseen: int
    training: tuple[int, ...] = ()
    served: tuple[int, ...] = ()


class AskedAgain(msgspec.Struct, frozen=True, kw_only=True):
    """The answers of one version on record beside those of its fitted estimator.

    `differences` has the largest differences, relative above 1, in falling order: at most 100 of
    them. `n_undefined` are answers that the estimator does not give as a number, `n_masked` those
    that cannot be given again, because the fields `masked` of their requests are not on record;
    they are not among the `n_answers`.
    """

    version: str
    n_answers: int
    differences: tuple[float, ...] = ()
    n_undefined: int = 0
    n_masked: int = 0
    masked: tuple[str, ...] = ()
    problem: str = ""


class MadeAgain(msgspec.Struct, frozen=True, kw_only=True):
    """One column as the model saw it beside what the pipeline's step makes of the same requests."""

    step: str
    column: str = ""
    n_rows: int = 0
    n_different: int = 0
    masked: tuple[str, ...] = ()  # why there is no request to compare
    problem: str = ""


class SkewEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """Captured requests of an environment beside what the candidate learned from.

    `n_misfit` of them hold values of other types than the candidate's contract, as `misfit` says.
    """

    environment: str
    n_requests: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    n_misfit: int = 0
    misfit: str = ""
    masked: tuple[str, ...] = ()  # fields that `[capture]` keeps from the record of requests
    columns: tuple[ServedColumn, ...] = ()
    answers: tuple[AskedAgain, ...] = ()
    made: tuple[MadeAgain, ...] = ()
