"""What the loop was worth, month by month, and whether everything can be explained."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from cd4ml.loop.audit import verify
from cd4ml.loop.candidate import runtime_of
from cd4ml.loop.rehearsal.production import ENVIRONMENT, months_of
from cd4ml.loop.rehearsal.stage import Stage, expect
from cd4ml.loop.releases import releases
from cd4ml.loop.watch import alerts
from cd4ml.loop.why import why
from cd4ml.measures.ranking import auc
from cd4ml.measures.scoring import brier
from cd4ml.records.model_version import ModelVersion
from cd4ml.store import rows

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray


class Month(msgspec.Struct, frozen=True, kw_only=True):
    """A month of production: the loop beside the first version left as it was."""

    start: datetime
    n_predictions: int
    n_labels: int
    loop_auc: float
    frozen_auc: float
    loop_brier: float
    frozen_brier: float
    versions: tuple[str, ...]  # that answered, in order


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The end of the story, in figures."""

    months: tuple[Month, ...]
    ledger_entries: int
    explained: str


def play(stage: Stage, months: int) -> Told:
    """Compare, explain, verify."""
    stage.tell.chapter(6 + months, "What it was worth")
    measured = tuple(
        _month(stage, start, end) for start, end in months_of(stage.world.BEGIN, months)
    )
    _show(stage, measured)
    _show_releases(stage)
    _expect_the_loop_closed(stage, measured)
    explained = _explain(stage)
    entries = _audit(stage)
    return Told(months=measured, ledger_entries=entries, explained=explained)


def labelled(stage: Stage, start: datetime, end: datetime) -> pl.DataFrame:
    """Answers of a stretch that came true: the log's columns and `value`; no shadows."""
    import polars as pl

    answered = stage.project.log.predictions(start=start, end=end, environment=ENVIRONMENT)
    used = answered.filter(pl.col("role") != "shadow", pl.col("score").is_not_null())
    truth = stage.project.log.labels(start=start).select("prediction_id", "value")
    return used.join(truth, on="prediction_id", how="left").sort("prediction_id").collect()


def _month(stage: Stage, start: datetime, end: datetime) -> Month:
    import polars as pl

    answered = labelled(stage, start, end)
    known = answered.filter(pl.col("value").is_not_null())
    truth, scores = known["value"].to_numpy(), known["score"].to_numpy()
    frozen = _frozen_scores(stage, known)
    used = answered.unique(["model", "number"], maintain_order=True).select("model", "number")
    return Month(
        start=start,
        n_predictions=answered.height,
        n_labels=known.height,
        loop_auc=auc(truth, scores).value,
        frozen_auc=auc(truth, frozen).value,
        loop_brier=brier(truth, scores).value,
        frozen_brier=brier(truth, frozen).value,
        versions=tuple(f"{model}/{number}" for model, number in used.iter_rows()),
    )


def _frozen_scores(stage: Stage, answered: pl.DataFrame) -> NDArray[np.float64]:
    """What the first version of the model would have answered to the same requests."""
    with stage.project.database.read() as connection:
        first = rows.find(connection, ModelVersion, limit=1)[0]
    runtime = runtime_of(stage.project, first)
    return runtime.score_frame(stage.project.log.inputs(answered, runtime.contract))


def _show(stage: Stage, measured: tuple[Month, ...]) -> None:
    stage.tell.table(
        "the loop beside the first model left as it was",
        ("month", "answers", "labels", "AUC loop", "frozen", "Brier loop", "frozen", "versions"),
        [
            (
                f"{month.start:%B}",
                f"{month.n_predictions:,}",
                f"{month.n_labels:,}",
                f"{month.loop_auc:.3f}",
                f"{month.frozen_auc:.3f}",
                f"{month.loop_brier:.4f}",
                f"{month.frozen_brier:.4f}",
                ", ".join(version.rpartition("/")[2] for version in month.versions),
            )
            for month in measured
        ],
    )


def _show_releases(stage: Stage) -> None:
    stage.tell.table(
        "what was released, and why",
        ("release", "version", "to", "state", "requested", "why"),
        [
            (
                release.ref,
                f"{release.model}/{release.version}",
                release.environment,
                release.state,
                f"{release.requested_at:%d %b}",
                release.reason,
            )
            for release in releases(stage.project)
        ],
    )


def _expect_the_loop_closed(stage: Stage, measured: tuple[Month, ...]) -> None:
    """What the story promises of its months; of the first one, that it raises the alarm."""
    expect(bool(alerts(stage.project)), "production raises an alert")
    if len(measured) == 1:
        return
    retrained = [release for release in releases(stage.project) if release.is_retrained]
    in_charge = [
        release
        for release in retrained
        if release.environment == ENVIRONMENT and release.state in ("released", "superseded")
    ]
    expect(bool(in_charge), "a retrained version in charge of production")
    later = measured[1:]
    gain = sum(month.loop_auc - month.frozen_auc for month in later) / len(later)
    stage.tell.line(f"retraining gained {gain:+.3f} AUC in the mean month")
    expect(gain > 0, "retraining gains something")


def _explain(stage: Stage) -> str:
    now = stage.clock.now()
    last = labelled(stage, now - timedelta(days=14), now).tail(1)
    prediction: str = last["prediction_id"].item()
    stage.tell.command(f"cd4ml why {prediction}")
    explanation = why(stage.project, prediction)
    stage.tell.table("why", ("what", "which"), explanation.sentences)
    topics = {topic for topic, _text in explanation.sentences}
    expect({"model version", "run", "data", "verdict", "approval"} <= topics, "a full explanation")
    return prediction


def _audit(stage: Stage) -> int:
    stage.tell.command("cd4ml audit verify")
    report = verify(stage.project)
    stage.tell.line(f"the ledger holds: {report.entries:,} entries")
    stage.tell.line(f"  head  {report.head}")
    return report.entries
