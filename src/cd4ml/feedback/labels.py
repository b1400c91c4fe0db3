"""What the world says about predictions: checked, kept, and told in the ledger.

A batch is accepted whole or refused whole. Its name is the address of what it says, so that
sending it again, after a lost answer or a crash, changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from math import inf, isfinite
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec

from cd4ml.errors import Conflict, InvalidInput
from cd4ml.records.contract import Field
from cd4ml.records.label import Label
from cd4ml.store.address import address_of_record
from cd4ml.store.lines import id_time

if TYPE_CHECKING:
    import polars as pl

    from cd4ml.store.database import Database
    from cd4ml.store.log import PredictionLog

PROBABILITY = "probability"  # the unit of an answer whose label is 0 or 1

_MOST_SHOWN = 10


class AcceptedLabels(NamedTuple):
    """What became of a batch; `n_new` is 0 if it had been accepted before."""

    batch: str  # content address
    n_labels: int
    n_new: int
    n_unknown: int  # of predictions that are not in the log (yet); kept all the same


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A label as it comes from outside."""

    prediction_id: str
    value: float | bool
    labelled_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    labelled_by: str | None = None


def accept(
    database: Database,
    log: PredictionLog,
    labels: pl.DataFrame | Iterable[Mapping[str, Any]],
    *,
    now: datetime,
    actor: str,
    output: Field | None = None,
) -> AcceptedLabels:
    """Keep a batch of labels in the log, then write it down in the ledger.

    When this returns, the labels last. It opens its own short transaction, because the log is
    written first and outside of it; killed in between, the same batch sent again completes it.

    Args:
        database: For the ledger.
        log: The prediction log.
        labels: `prediction_id`, `value` (a number or a boolean), and if they are known
            `labelled_at` (when it became true; aware) and `labelled_by`; by default now and
            the actor. One row per label. A correction is a new row with a later `labelled_at`.
        now: The project's time: when the labels arrived.
        actor: Who brings them.
        output: What the model's answer is, by its contract: a label beyond its limits is a
            mistake, and one is enough to spoil a retraining. Where the answer is a probability,
            what came true is 0 or 1.

    Raises:
        InvalidInput: If any row is not a label; the message names the rows, from 1, and
            nothing of the batch is kept.
    """
    import polars as pl

    checked = _checked(labels, now, actor, output)
    frame = pl.DataFrame([msgspec.structs.asdict(label) for label in checked])
    batch = _address(checked)
    n_new = _add(log, frame, batch)
    accepted = AcceptedLabels(batch, len(checked), n_new, _n_unknown(log, frame))
    _write_down(database, accepted, now, actor)
    return accepted


def _checked(
    labels: pl.DataFrame | Iterable[Mapping[str, Any]],
    now: datetime,
    actor: str,
    output: Field | None,
) -> list[Label]:
    import polars as pl

    given = labels.iter_rows(named=True) if isinstance(labels, pl.DataFrame) else labels
    checked: dict[int, Label] = {}
    reasons: list[str] = []
    said: dict[tuple[str, datetime], int] = {}  # -> the first row that says something about it
    for number, row in enumerate(given, start=1):
        try:
            label = _label(row, now, actor, output)
            first = said.setdefault((label.prediction_id, label.labelled_at), number)
            _refuse_contradiction(label, checked.get(first), first)
            checked[number] = label
        except (msgspec.ValidationError, InvalidInput) as error:
            reasons.append(f"  - row {number}: {getattr(error, 'message', error)}")
    if reasons:
        raise _refused(reasons, len(reasons) + len(checked))
    if not checked:
        raise InvalidInput("there are no labels in this batch")
    return list(checked.values())


def _label(row: Mapping[str, Any], now: datetime, actor: str, output: Field | None) -> Label:
    given = msgspec.convert(row, _Row)
    labelled_at = now if given.labelled_at is None else _in_utc(given.labelled_at)
    if not isfinite(given.value):
        raise InvalidInput(f"expected a finite value, got {given.value}")
    if output is not None:
        _refuse_beyond(output, float(given.value))
    if id_time(given.prediction_id) > now:
        msg = f"{given.prediction_id!r} names a time after now, {now.isoformat()}"
        raise InvalidInput(msg)
    if labelled_at > now:
        msg = f"labelled_at {labelled_at.isoformat()} is after now, {now.isoformat()}"
        raise InvalidInput(msg)
    return Label(
        prediction_id=given.prediction_id,
        value=float(given.value),
        labelled_at=labelled_at,
        arrived_at=now,
        labelled_by=given.labelled_by or actor,
    )


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        msg = f"expected a time in the years 1 to 9999 in UTC, got {moment.isoformat()}"
        raise InvalidInput(msg) from None


def _refuse_beyond(output: Field, value: float) -> None:
    low = -inf if output.minimum is None else output.minimum
    high = inf if output.maximum is None else output.maximum
    if not low <= value <= high:
        raise InvalidInput(f"expected {output.name!r} from {low:g} to {high:g}, got {value:g}")
    if output.unit == PROBABILITY and value not in (0, 1):
        msg = f"expected {output.name!r} as 0 or 1, since what came true has no probability"
        raise InvalidInput(f"{msg}, got {value:g}")


def _refuse_contradiction(label: Label, earlier: Label | None, row: int) -> None:
    if earlier is not None and earlier.value != label.value:
        msg = (
            f"it says {label.value:g}, and row {row} says {earlier.value:g} of the same prediction"
        )
        raise InvalidInput(f"{msg} at the same time; a correction has a later labelled_at")


def _refused(reasons: list[str], n_rows: int) -> InvalidInput:
    shown = reasons[:_MOST_SHOWN]
    if len(reasons) > len(shown):
        shown.append(f"  - and {len(reasons) - len(shown)} more")
    head = f"no label was kept: {len(reasons)} of {n_rows} rows are not labels"
    return InvalidInput("\n".join([head, *shown]), hint="correct these rows and send all again")


def _address(labels: list[Label]) -> str:
    """The address of what the labels say, in whatever order and whenever they arrived."""
    said = [
        (label.prediction_id, label.labelled_at, label.value, label.labelled_by) for label in labels
    ]
    return address_of_record(sorted(said))


def _add(log: PredictionLog, frame: pl.DataFrame, batch: str) -> int:
    try:
        return log.add_labels(frame, batch)
    except Conflict:  # the same batch came in twice at once: now it is there
        return log.add_labels(frame, batch)


def _n_unknown(log: PredictionLog, frame: pl.DataFrame) -> int:
    import polars as pl

    wanted = frame.select(pl.col("prediction_id").unique()).sort("prediction_id")
    first, last = (id_time(wanted["prediction_id"][i]) for i in (0, -1))  # ids sort by time
    known = log.predictions(first, last + timedelta(days=1)).select("prediction_id")
    return wanted.lazy().join(known, on="prediction_id", how="anti").collect().height


def _write_down(database: Database, accepted: AcceptedLabels, now: datetime, actor: str) -> None:
    from cd4ml.store import ledger, lineage

    with database.write() as connection:
        if ledger.entries(connection, subject=accepted.batch, limit=1):
            return
        name = f"{accepted.n_labels:,} labels of {now:%Y-%m-%d %H:%M}"
        lineage.note(connection, address=accepted.batch, kind="labels", name=name, at=now)
        ledger.append(
            connection,
            at=now,
            actor=actor,
            action="labels.accepted",
            subject=accepted.batch,
            details={"labels": accepted.n_labels, "unknown": accepted.n_unknown},
        )
