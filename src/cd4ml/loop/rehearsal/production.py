"""Production, day by day: requests, answers, labels that come later, and what follows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from cd4ml.errors import RehearsalFailed
from cd4ml.loop.compare import runs
from cd4ml.loop.label import label
from cd4ml.loop.rehearsal import findings
from cd4ml.loop.rehearsal.stage import ROBOT, Serving, Stage, expect
from cd4ml.loop.retrain import RETRAIN
from cd4ml.loop.watch import collect
from cd4ml.loop.work import WorkReport, work
from cd4ml.records.job import Job
from cd4ml.records.plan import Plan
from cd4ml.records.verdict import Verdict
from cd4ml.store import rows

if TYPE_CHECKING:
    pass

OWNER = "rehearsal"
ENVIRONMENT = "production"

_DAY = timedelta(days=1)
_LONGEST_FLIGHT = timedelta(days=3)  # no label comes later than this after its request


def play(stage: Stage, serving: Serving, months: int) -> None:
    """Some calendar months of production, with everything that happens by itself."""
    diary = _Diary(stage, serving)
    for number, (start, end) in enumerate(months_of(stage.world.BEGIN, months)):
        stage.tell.chapter(6 + number, f"{start:%B %Y} in production")
        # a day whose end has just come may have been killed there: it is lived again
        days = [day for day in _days(start, end) if day + _DAY >= stage.clock.now()]
        for day in stage.tell.track(days, title=f"{start:%B}", total=len(days)):
            diary.live(day)
        if days:
            stage.tell.line(diary.told())
    for day in _days(end, end + timedelta(hours=_maturity(stage)) + _DAY):
        diary.wait(day)
    n_failed = serving.application.n_failed
    expect(n_failed == 0, f"every request is answered; {n_failed} were not")


def months_of(begin: datetime, months: int) -> list[tuple[datetime, datetime]]:
    """The first and last moment of each month, the first month beginning at `begin`.

    Examples:
        >>> from datetime import UTC
        >>> [end.day for start, end in months_of(datetime(2013, 12, 1, 5, tzinfo=UTC), 2)]
        [1, 1]
    """
    starts = [begin]
    for _month in range(months):
        year, month = divmod(starts[-1].year * 12 + starts[-1].month, 12)
        starts.append(begin.replace(year=year, month=month + 1))
    return list(itertools.pairwise(starts))


class _Diary:
    """Lives through the days, remembering which request got which prediction id."""

    def __init__(self, stage: Stage, serving: Serving) -> None:
        self._stage = stage
        self._serving = serving
        self._ids = _answered(stage)
        self._n_labels = 0

    def live(self, day: datetime) -> None:
        """A day with traffic, its labels, and the background work of its end."""
        self._follow_plan()
        asked = self._stage.world.requests(day, day + _DAY)
        fields = asked.drop("key", "event_at", "label", "label_at").iter_rows(named=True)
        for key, event_at, row in zip(asked["key"], asked["event_at"], fields, strict=True):
            if key not in self._ids:
                self._ask(key, event_at, row)
        self._end(day)

    def told(self) -> str:
        """How many requests were asked since the rehearsal began, and how many failed."""
        application = self._serving.application
        return (
            f"{application.n_asked:,} requests over HTTP so far, {application.n_failed} failed;"
            f" {self._n_labels:,} labels came back"
        )

    def wait(self, day: datetime) -> None:
        """A day after the last request: labels still come, windows still mature."""
        self._end(day, is_last=True)

    def _ask(self, key: str, event_at: datetime, row: dict[str, Any]) -> None:
        self._stage.clock.advance_to(event_at)
        answer = self._serving.application.ask(row, key=key)
        if answer is None:  # at once, so that who goes on from here asks it again
            raise RehearsalFailed(f"every request is answered; {key} at {event_at} was not")
        self._ids[key] = answer.prediction_id

    def _end(self, day: datetime, *, is_last: bool = False) -> None:
        self._stage.clock.advance_to(day + _DAY)
        arrived = self._arrived(day)
        if arrived:
            self._n_labels += label(self._stage.project, rows=arrived, actor=ROBOT).n_labels
        report = work(self._stage.project, owner=OWNER, kinds=() if is_last else None)
        _tell(self._stage, report)

    def _arrived(self, day: datetime) -> list[dict[str, Any]]:
        import polars as pl

        recent = self._stage.world.requests(day - _LONGEST_FLIGHT, day + _DAY)
        known = recent.filter(pl.col("label_at").is_between(day, day + _DAY, closed="right"))
        return [
            {"prediction_id": self._ids[key], "value": float(value), "labelled_at": label_at}
            for key, value, label_at in known.select("key", "label", "label_at").iter_rows()
            if key in self._ids
        ]

    def _follow_plan(self) -> None:
        # the next request comes after the endpoint has taken the newest plan up, as it
        # would in earnest: there, minutes pass between two days' first requests
        with self._stage.project.database.read() as connection:
            newest = rows.find(
                connection, Plan, environment=ENVIRONMENT, newest_first=True, limit=1
            )
        self._serving.follow(newest[0].number)


def _answered(stage: Stage) -> dict[str, str]:
    """What was answered shortly before now: a killed rehearsal asks nothing twice."""
    import polars as pl

    collect(stage.project)
    now = stage.clock.now()
    start = now - _LONGEST_FLIGHT - 2 * _DAY  # the day lived again began a day ago
    recent = stage.project.log.predictions(start=start, environment=ENVIRONMENT)
    answered = recent.filter(pl.col("role") != "shadow").select("key", "prediction_id").collect()
    return dict(answered.iter_rows())


def _days(start: datetime, end: datetime) -> Iterator[datetime]:
    day = start
    while day < end:
        yield day
        day += _DAY


def _maturity(stage: Stage) -> int:
    return stage.project.settings.monitoring.matures_after_hours


def _tell(stage: Stage, report: WorkReport) -> None:
    for window in report.windows:
        span = f"{window.start:%d %b} to {window.end:%d %b}"
        stage.tell.line(
            f"{span} is measured: {window.n_predictions:,} predictions,"
            f" {window.coverage:.1%} of them have their label"
        )
        findings.show_window(stage.tell, window)
    for alert in report.alerts:
        stage.tell.line(f"{alert.ref} ({alert.kind}): {alert.message}")
    for job in report.jobs:
        stage.tell.line(f"job/{job.number} {job.kind} {job.state}: {job.reason}")
        _tell_verdict(stage, job)
    for release in report.releases:
        stage.tell.line(
            f"{stage.clock.now():%d %b}: {release.ref} ({release.model}/{release.version}"
            f" in {release.environment}) {release.state} - {release.state_reason}"
        )


def _tell_verdict(stage: Stage, job: Job) -> None:
    experiment = f"{RETRAIN}-{job.number}"
    for report in runs(stage.project, experiment=experiment, state="finished", limit=1):
        with stage.project.database.read() as connection:
            for verdict in rows.find(connection, Verdict, run=report.run.number):
                findings.show(stage.tell, verdict)
