"""`kind = "leakage"`: nothing told the candidate what only the future knows."""

from __future__ import annotations

import msgspec


class LeakageGate(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="leakage",
):
    """`kind = "leakage"`: what the model learned from was known when it has to answer.

    Asked are: rows that teach and judge; requests that stand on both sides of the split
    (`repeated_at_most`, a share of the holdout; shown without it); a column that alone predicts
    the target better than `alone_at_most` (its AUC, for a number its share of explained
    variance); a column of times in `known_at`, or an arrival time of a contract, that is later
    than the row's event time; training rows later than the first holdout row less
    `embargo_hours`; and a step upstream of the model that learns from the holdout's rows:
    one that returns a model or plain data, or is named in `fits`.

    `allow` names a column, a step, or a question ("repeated requests", "split in time", "learned
    from the holdout"), with the reason why it may be so.
    """

    repeated_at_most: float | None = None
    alone_at_most: float = 0.99
    known_at: tuple[str, ...] = ()
    embargo_hours: float = 0.0
    fits: tuple[str, ...] = ()
    allow: dict[str, str] = {}


class AloneColumn(msgspec.Struct, frozen=True, kw_only=True):
    """How well one column predicts the target: learned on training rows, judged on the holdout.

    `measure` is "auc" where the target is 0 and 1, else "explained variance". `value` is None
    where `problem` says why.
    """

    column: str
    measure: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    problem: str = ""


class LateColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column of times beside the event time of the same rows.

    `is_arrival` says that a contract calls it the time at which a row became known.
    """

    column: str
    n_late: int
    n_rows: int
    is_arrival: bool = False


class StepInput(msgspec.Struct, frozen=True, kw_only=True):
    """A step that the model comes from, with an input that the holdout comes from too.

    `kind` is how the step's output is stored: table, model, json, ... `reads` is "" for a step that
    has no such input. `n_shared` says how many of the holdout's rows stand in the input; None
    where they were not, or cannot be, compared.
    """

    step: str
    kind: str
    reads: str
    n_shared: int | None = None


class TimeSplit(msgspec.Struct, frozen=True, kw_only=True):
    """How the event times of training and holdout lie to each other."""

    column: str
    n_late: int  # training rows at or after the first holdout row
    gap_hours: float  # from the last training row to the first holdout row


class LeakageEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """What the rows and the graph of a run say about leaks."""

    n_training: int
    n_holdout: int
    n_shared: int  # holdout rows that are training rows
    shared_by: tuple[str, ...] = ()  # the key that said so; () for whole rows
    n_repeated: int = 0  # holdout rows whose request stands in the training rows
    alone: tuple[AloneColumn, ...] = ()
    late: tuple[LateColumn, ...] = ()
    split: TimeSplit | None = None  # None where the rows have no event time
    steps: tuple[StepInput, ...] = ()
    no_steps: str = ""  # why nobody knows what the model was made of
