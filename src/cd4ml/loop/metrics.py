"""How the project delivers, from the ledger: DORA's four for models, and what loops add to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec
import sqlalchemy as sa

from cd4ml.errors import InvalidInput
from cd4ml.loop.model_names import refuse_unknown_model
from cd4ml.measures.delivery import Alerted, Happened, delivery, episodes_of
from cd4ml.monitoring.windows import Span, span_of, spans
from cd4ml.records.dataset import DatasetVersion
from cd4ml.records.delivery import Change, Delivery, Judged, LabelDelay
from cd4ml.records.ledger_entry import LedgerEntry
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.release import Release
from cd4ml.records.run import Run
from cd4ml.records.verdict import Verdict
from cd4ml.release.environments import settings_of
from cd4ml.store import rows
from cd4ml.store.project import Project
from cd4ml.store.tables import TABLES

By = Literal["day", "week", "month", "all"]

_LEDGER = TABLES[LedgerEntry]
_ANSWERING = ("champion", "canary")
_FAILED = ("release.undone", "release.aborted")
_ACTIONS = (
    "release.requested",
    "release.begun",
    "release.advanced",
    "release.released",
    *_FAILED,
    "alert.raised",
    "verdict.given",
)


def metrics(
    project: Project, *, by: By = "all", environment: str = "", model: str = "", last: int = 12
) -> list[Delivery]:
    """The figures of all time, or of its days, weeks (from Monday) or months in UTC, oldest first.

    Args:
        project: Whose.
        by: The stretches of time; the last one goes on.
        environment: Whose releases count; the last of `cd4ml.toml` by default.
        model: Only this one's releases, alerts and verdicts; labels are those of all models.
        last: How many stretches, counted back from now.

    Raises:
        NotFound: If there is no such environment.
        InvalidInput: If `last` is below 1.
    """
    if last < 1:
        msg = f"expected at least 1 stretch of time, got {last}"
        raise InvalidInput(msg, hint="for example 12")
    name = _environment(project, environment)
    now = project.clock.now()
    with project.database.read() as connection:
        refuse_unknown_model(connection, model)
        entries = _entries(connection)
        stretches = _stretches(entries, by, now, last)
        changes = _changes(connection, entries, name, model)
        alerts = _alerts(entries, name, model)
        verdicts = _verdicts(connection, entries, model)
    happened = Happened(
        changes=[_alerted(change, alerts) for change in changes],
        episodes=episodes_of(alerts, changes),
        verdicts=verdicts,
        delays=_delays(project, stretches),
    )
    return [delivery(happened, start=span.start, end=span.end, now=now) for span in stretches]


def _environment(project: Project, name: str) -> str:
    known = project.settings.environments
    if name:
        settings_of(known, name)
        return name
    return list(known)[-1] if known else project.settings.monitoring.environment


def _entries(connection: sa.Connection) -> list[LedgerEntry]:
    """What the figures are made of, oldest first."""
    asked = _LEDGER.select().where(_LEDGER.c.action.in_(_ACTIONS)).order_by(_LEDGER.c.sequence)
    return rows.fetch(connection, LedgerEntry, asked)


def _stretches(entries: list[LedgerEntry], by: By, now: datetime, last: int) -> list[Span]:
    begin = min((entry.at for entry in entries), default=now)
    if by == "all":
        # the end is excluded, and what happened this very moment counts
        return [Span(begin, now + timedelta(microseconds=1))]
    return [*spans(begin, now, by), span_of(now, by)][-last:]


def _changes(
    connection: sa.Connection, entries: list[LedgerEntry], environment: str, model: str
) -> list[Change]:
    releases = {release.ref: release for release in rows.find(connection, Release)}
    told: dict[str, list[LedgerEntry]] = {}
    for entry in entries:
        release = releases.get(entry.subject)
        if release and release.environment == environment and model in ("", release.model):
            told.setdefault(entry.subject, []).append(entry)
    before = {release.number: release for release in releases.values()}
    return [
        _change(connection, releases[ref], before.get(releases[ref].replaces), history)
        for ref, history in told.items()
    ]


def _change(
    connection: sa.Connection, release: Release, before: Release | None, history: list[LedgerEntry]
) -> Change:
    answering = _first(history, lambda entry: _answers(entry, release))
    failed = _first(history, lambda entry: entry.action in _FAILED)
    return Change(
        release=release.ref,
        environment=release.environment,
        model=release.model,
        requested_at=release.requested_at,
        answering_at=answering,
        released_at=_first(history, lambda entry: entry.action == "release.released"),
        failed_at=failed if answering else None,
        **_new_in(connection, release, before),
    )


def _first(history: Iterable[LedgerEntry], is_it: Callable[[LedgerEntry], bool]) -> datetime | None:
    return next((entry.at for entry in history if is_it(entry)), None)


def _answers(entry: LedgerEntry, release: Release) -> bool:
    """Whether from here on the release's version answered somebody."""
    return any(
        arm["number"] == release.version and arm["role"] in _ANSWERING
        for arm in entry.details.get("arms", ())
    )


def _new_in(
    connection: sa.Connection, release: Release, before: Release | None
) -> dict[str, datetime | None]:
    """When the code and the data arrived that the version before did not have."""
    run = _run(connection, release)
    if run is None:
        return {}
    old = _run(connection, before) if before else None
    is_new = old is None or old.code != run.code
    # a commit of the future says that the project's clock is not that of the repository
    is_known = run.committed_at is not None and run.committed_at <= run.started_at
    return {
        "committed_at": run.committed_at if is_new and is_known else None,
        "data_at": _newest_data(connection, run, old),
    }


def _run(connection: sa.Connection, release: Release) -> Run | None:
    version = rows.get(connection, ModelVersion, release.model, release.version)
    return rows.get(connection, Run, version.run) if version.run else None


def _newest_data(connection: sa.Connection, run: Run, old: Run | None) -> datetime | None:
    known = set(old.datasets.values()) if old else set()
    refs = [ref for name, ref in run.refs.items() if run.datasets.get(name) not in known]
    keys = [ref.partition("@") for ref in refs]
    found = [
        version.created_at
        for dataset, _, number in keys
        if number.isdigit()
        for version in rows.find(connection, DatasetVersion, dataset=dataset, number=int(number))
    ]
    return max(found, default=None)


def _alerts(entries: list[LedgerEntry], environment: str, model: str) -> list[Alerted]:
    return [
        Alerted(entry.subject, environment, entry.details["model"], entry.at)
        for entry in entries
        if entry.action == "alert.raised"
        and entry.details["environment"] == environment
        and model in ("", entry.details["model"])
    ]


def _alerted(change: Change, alerts: list[Alerted]) -> Change:
    """The change with the first alert about it before it failed."""
    if change.failed_at is None or change.answering_at is None:
        return change
    about = [
        alert.at
        for alert in alerts
        if alert.model == change.model and change.answering_at <= alert.at <= change.failed_at
    ]
    return msgspec.structs.replace(change, alerted_at=min(about, default=None))


def _verdicts(connection: sa.Connection, entries: list[LedgerEntry], model: str) -> list[Judged]:
    given = [entry for entry in entries if entry.action == "verdict.given"]
    if model:
        own = _verdicts_of(connection, model)
        given = [entry for entry in given if entry.subject in own]
    return [Judged(at=entry.at, is_pass=entry.details["outcome"] == "pass") for entry in given]


def _verdicts_of(connection: sa.Connection, model: str) -> set[str]:
    table = TABLES[Verdict]
    numbers = connection.execute(sa.select(table.c.number).where(table.c.model == model))
    return {f"verdict/{number}" for number in numbers.scalars()}


def _delays(project: Project, stretches: list[Span]) -> list[LabelDelay]:
    start, end = stretches[0].start, stretches[-1].end
    found = project.log.label_delays(start.astimezone(UTC), end.astimezone(UTC))
    return [LabelDelay(asked_at=at, hours=hours) for at, hours in found.iter_rows()]
