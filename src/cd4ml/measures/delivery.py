"""Delivery performance: how often and how fast changes arrive, how often they fail, how they heal.

Source of the four: N. Forsgren, J. Humble, G. Kim, "Accelerate", IT Revolution 2018, chapter 2;
what is added for models (drift to fix, label latency, gates) is defined here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

from cd4ml.measures.estimate import wilson
from cd4ml.records.delivery import (
    Change,
    Delivery,
    Durations,
    Episode,
    Judged,
    LabelDelay,
    Portion,
)

_HOUR, _DAY, _WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)


class Alerted(NamedTuple):
    """An alert: its ref, about which model where, and when it was raised."""

    alert: str
    environment: str
    model: str
    at: datetime


class Happened(NamedTuple):
    """Everything that is measured."""

    changes: Sequence[Change] = ()
    episodes: Sequence[Episode] = ()
    verdicts: Sequence[Judged] = ()
    delays: Sequence[LabelDelay] = ()


def delivery(happened: Happened, *, start: datetime, end: datetime, now: datetime) -> Delivery:
    """The figures of a stretch of time.

    Args:
        happened: The events, of any time.
        start: The first moment that counts.
        end: The first moment that does not count any more.
        now: The present; what lies after it of the stretch has not happened yet.

    Source:
        Forsgren, Humble, Kim, "Accelerate", 2018, for the four of DORA; else by definition.
    """

    def within(moment: datetime | None) -> bool:
        return moment is not None and start <= moment < end

    arrived = [change for change in happened.changes if within(change.released_at)]
    answered = [change for change in happened.changes if within(change.answering_at)]
    failed = [change for change in happened.changes if within(change.failed_at)]
    episodes = happened.episodes
    judged = [verdict.is_pass for verdict in happened.verdicts if within(verdict.at)]
    delays = [delay.hours for delay in happened.delays if within(delay.asked_at)]
    return Delivery(
        start=start,
        end=end,
        releases=len(arrived),
        releases_per_week=_per_week(len(arrived), start, min(end, now)),
        lead_time=_between((ready_at(each), each.released_at) for each in arrived),
        lead_time_from_commit=_between((each.committed_at, each.released_at) for each in arrived),
        lead_time_from_data=_between((each.data_at, each.released_at) for each in arrived),
        change_failures=portion([each.failed_at is not None for each in answered]),
        time_to_restore=_between(
            (each.alerted_at or each.answering_at, each.failed_at) for each in failed
        ),
        alert_to_fix=_between(
            (each.alerted_at, each.fixed_at) for each in episodes if within(each.fixed_at)
        ),
        open_alerts=sum(each.fixed_at is None and within(each.alerted_at) for each in episodes),
        label_latency=durations(delays),
        gates_passed=portion(judged),
    )


def ready_at(change: Change) -> datetime | None:
    """When the last thing that is new in a change was there: before it, nobody could deliver it."""
    return max(filter(None, (change.committed_at, change.data_at)), default=None)


def episodes_of(alerts: Iterable[Alerted], changes: Iterable[Change]) -> list[Episode]:
    """Alerts until their fix: those that one release ends are one episode.

    An alert is fixed by the first release of its model in its environment that was asked for
    after it and came to be in charge.

    Args:
        alerts: In any order.
        changes: In any order.

    Source:
        Definition.
    """
    arrived = [change for change in changes if change.released_at]
    fixes = sorted(arrived, key=lambda change: change.released_at or change.requested_at)
    found: dict[tuple[str, str, str], Episode] = {}
    for alert in sorted(alerts, key=lambda alert: alert.at):
        fix = next((change for change in fixes if _is_fixed_by(alert, change)), None)
        key = (alert.environment, alert.model, fix.release if fix else "")
        episode = Episode(
            alert=alert.alert,
            alerted_at=alert.at,
            release=fix.release if fix else "",
            fixed_at=fix.released_at if fix else None,
        )
        found.setdefault(key, episode)
    return list(found.values())


def _is_fixed_by(alert: Alerted, change: Change) -> bool:
    same = (change.environment, change.model) == (alert.environment, alert.model)
    return same and change.requested_at >= alert.at


def durations(hours: Sequence[float]) -> Durations:
    """Median and 90 % quantile of some hours (by linear interpolation).

    Source:
        R. J. Hyndman, Y. Fan, "Sample quantiles in statistical packages", The American
        Statistician 50(4), 1996, definition 7.

    Examples:
        >>> durations([1.0, 2.0, 12.0])
        Durations(n=3, median_hours=2.0, p90_hours=10.0)
        >>> durations([])
        Durations(n=0, median_hours=None, p90_hours=None)
    """
    if not hours:
        return Durations()
    median, p90 = np.quantile(np.asarray(hours, dtype=np.float64), [0.5, 0.9])
    return Durations(n=len(hours), median_hours=float(median), p90_hours=float(p90))


def portion(outcomes: Sequence[bool]) -> Portion:
    """How many are true, with the Wilson interval of the share.

    Source:
        See `measures.estimate.wilson`.

    Examples:
        >>> portion([True, True, False, True]).share
        0.75
        >>> portion([]).share is None
        True
    """
    if not outcomes:
        return Portion()
    share = wilson(sum(outcomes), len(outcomes))
    return Portion(
        n=sum(outcomes), of=len(outcomes), share=share.value, low=share.low, high=share.high
    )


def _between(pairs: Iterable[tuple[datetime | None, datetime | None]]) -> Durations:
    """From one moment to the other; what lacks one, or goes back in time, is left out."""
    return durations(
        [(end - start) / _HOUR for start, end in pairs if start and end and end >= start]
    )


def _per_week(n: int, start: datetime, end: datetime) -> float | None:
    """None for less than a day: nobody knows yet what a week brings."""
    return n / ((end - start) / _WEEK) if end - start >= _DAY else None
