"""The figures of delivery, from ledgers written by hand and by the project itself."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cd4ml.errors import InvalidInput, NotFound
from cd4ml.loop import Project, open_project
from cd4ml.loop.metrics import metrics
from cd4ml.loop.undo import undo
from cd4ml.records.dataset import DatasetVersion
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.release import Release
from cd4ml.records.run import Run
from cd4ml.store import ledger, rows
from cd4ml.store.clock import SharedClock
from tests.loop.test_roll_out import advance, begin
from tests.loop.world import BEGIN, DAY, HOUR, MAX, live

SETTINGS = """
[project]
name = "by hand"
[environments.staging]
[environments.production]
"""


@pytest.fixture
def by_hand(tmp_path: Path) -> Iterator[Project]:
    """A project whose ledger is written by the test; it is four weeks after BEGIN."""
    (tmp_path / "cd4ml.toml").write_text(SETTINGS)
    SharedClock.create(tmp_path / ".cd4ml" / "clock", BEGIN + 28 * DAY)
    with open_project(tmp_path) as project:
        yield project


class Scribe:
    """Writes a history down, in days after BEGIN."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def data(self, number: int, day: float) -> None:
        """`flights@number` arrived."""
        address = f"blake3:{number:064}"
        self._insert(
            DatasetVersion(
                dataset="flights", number=number, digest=address, content=address, n_files=1,
                n_bytes=1, source="bench", created_at=BEGIN + day * DAY, created_by="ann",
            )
        )  # fmt: skip

    def version(self, number: int, *, code: str, committed: float, data: int) -> None:
        """`delay/number`, made by a run of this code, committed on this day, on these data."""
        started = BEGIN + 20 * DAY
        self._insert(
            Run(
                number=number, experiment="default", state="finished", code=code,
                committed_at=BEGIN + committed * DAY, refs={"flights": f"flights@{data}"},
                datasets={"flights": f"blake3:{data:064}"}, started_at=started, created_by="ann",
            )
        )  # fmt: skip
        self._insert(
            ModelVersion(
                model="delay",
                number=number,
                run=number,
                verdict=0,
                artifact="",
                contract="",
                created_at=started,
                created_by="ann",
            )
        )

    def release(self, number: int, day: float, *, replaces: int = 0) -> None:
        """`release/number` of `delay/number` to production was asked for."""
        at = BEGIN + day * DAY
        self._insert(
            Release(
                number=number, model="delay", version=number, environment="production",
                state="released", decides={}, content="", replaces=replaces, requested_by="ann",
                requested_at=at, asked_at=at, entered_at=at,
            )
        )  # fmt: skip
        self.told("release.requested", f"release/{number}", day)

    def rolled_out(self, number: int, day: float, role: str) -> None:
        """The release entered a step in which its version had this role."""
        arms = [{"role": role, "model": "delay", "number": number, "weight_percent": 10.0}]
        self.told("release.begun", f"release/{number}", day, arms=arms)

    def alert(self, number: int, day: float) -> None:
        """An alert was raised."""
        about = {"kind": "drift", "environment": "production", "model": "delay"}
        self.told("alert.raised", f"alert/{number}", day, **about)

    def told(self, action: str, subject: str, day: float, **details: Any) -> None:
        """An entry of the ledger."""
        with self._project.database.write() as connection:
            at = BEGIN + day * DAY
            ledger.append(
                connection, at=at, actor="ann", action=action, subject=subject, details=details
            )

    def _insert(self, record: msgspec.Struct) -> None:
        with self._project.database.write() as connection:
            rows.insert(connection, record)


@pytest.fixture
def history(by_hand: Project) -> Scribe:
    """Three releases: the first; one with new code and data that fails; a retrained one."""
    scribe = Scribe(by_hand)
    scribe.data(1, day=0)
    scribe.data(2, day=6)
    scribe.data(3, day=12)
    scribe.version(1, code="blake3:a", committed=-1, data=1)
    scribe.version(2, code="blake3:b", committed=4, data=2)
    scribe.version(3, code="blake3:a", committed=-1, data=3)
    scribe.release(1, day=1)
    scribe.rolled_out(1, 1, "champion")
    scribe.told("release.released", "release/1", 1)
    scribe.release(2, day=7, replaces=1)
    scribe.rolled_out(2, 7, "shadow")
    scribe.rolled_out(2, 8, "canary")
    scribe.told("release.released", "release/2", 9)
    scribe.told("release.undone", "release/2", 9.5)
    scribe.alert(1, day=10)
    scribe.alert(2, day=11)
    scribe.release(3, day=12, replaces=1)
    scribe.rolled_out(3, 12, "champion")
    scribe.told("release.released", "release/3", 13)
    for number, outcome in enumerate(("pass", "fail", "pass", "error"), 1):
        scribe.told("verdict.given", f"verdict/{number}", 20, outcome=outcome)
    return scribe


def test_the_figures_of_a_ledger_written_by_hand_are_those_counted_by_hand(
    by_hand: Project, history: Scribe
) -> None:
    (total,) = metrics(by_hand)

    assert (total.start, total.end) == (
        BEGIN + DAY,
        by_hand.clock.now() + timedelta(microseconds=1),
    )
    assert (total.releases, total.releases_per_week) == (3, pytest.approx(3 / (27 / 7)))
    # release/1: data of day 0, in charge on day 1; release/2: data of 6, on 9; release/3: 12, 13
    assert (total.lead_time.n, total.lead_time.median_hours) == (3, 24.0)
    # the code of release/3 is that of release/1, which it replaced: only its data are new
    assert total.lead_time_from_commit.n == 2
    assert total.lead_time_from_commit.median_hours == pytest.approx((48 + 120) / 2)
    assert total.lead_time_from_data.n == 3
    assert (total.change_failures.n, total.change_failures.of) == (1, 3)
    assert total.time_to_restore.median_hours == 36.0  # from the canary's first answer
    assert (total.alert_to_fix.n, total.alert_to_fix.median_hours) == (1, 72.0)
    assert total.open_alerts == 0
    assert (total.gates_passed.n, total.gates_passed.of) == (2, 4)
    assert total.label_latency.n == 0


def test_weeks_follow_each_other_and_the_last_one_goes_on(
    by_hand: Project, history: Scribe
) -> None:
    weeks = metrics(by_hand, by="week")

    assert [f"{week.start:%a %d %b}" for week in weeks] == [
        "Mon 28 Jan", "Mon 04 Feb", "Mon 11 Feb", "Mon 18 Feb", "Mon 25 Feb",
    ]  # fmt: skip
    assert [week.releases for week in weeks] == [1, 1, 1, 0, 0]
    assert [week.change_failures.n for week in weeks] == [0, 1, 0, 0, 0]
    assert [week.gates_passed.of for week in weeks] == [0, 0, 0, 4, 0]
    assert len(metrics(by_hand, by="week", last=2)) == 2
    assert sum(day.releases for day in metrics(by_hand, by="day", last=100)) == 3


def test_a_shadow_that_was_aborted_is_no_failed_change(by_hand: Project, history: Scribe) -> None:
    history.version(4, code="blake3:c", committed=14, data=3)
    history.release(4, day=15, replaces=3)
    history.rolled_out(4, 15, "shadow")
    history.told("release.aborted", "release/4", 16)

    (total,) = metrics(by_hand)

    assert (total.change_failures.n, total.change_failures.of) == (1, 3)


def test_from_its_first_alert_on_a_change_has_failed(by_hand: Project, history: Scribe) -> None:
    history.version(4, code="blake3:c", committed=14, data=3)
    history.release(4, day=15, replaces=3)
    history.rolled_out(4, 15, "champion")
    history.told("release.released", "release/4", 15)
    history.alert(3, day=19)
    history.told("release.undone", "release/4", 19.25)

    (total,) = metrics(by_hand)

    assert (total.time_to_restore.n, total.time_to_restore.median_hours) == (2, (36 + 6) / 2)
    assert total.open_alerts == 1


def test_other_environments_and_models_do_not_count(by_hand: Project, history: Scribe) -> None:
    (staging,) = metrics(by_hand, environment="staging")
    with by_hand.database.write() as connection:
        delay = rows.get(connection, ModelVersion, "delay", 1)
        rows.insert(connection, msgspec.structs.replace(delay, model="fares"))
    (fares,) = metrics(by_hand, model="fares")

    assert (staging.releases, staging.change_failures.of, staging.open_alerts) == (0, 0, 0)
    assert (fares.releases, fares.gates_passed.of) == (0, 0)


def test_a_commit_of_the_future_is_no_lead_time(by_hand: Project, history: Scribe) -> None:
    history.version(4, code="blake3:c", committed=5000, data=3)
    history.release(4, day=15, replaces=3)
    history.rolled_out(4, 15, "champion")
    history.told("release.released", "release/4", 16)

    (total,) = metrics(by_hand)

    assert total.lead_time_from_commit.n == 2


def test_a_project_in_which_nothing_happened_has_no_figures(by_hand: Project) -> None:
    (total,) = metrics(by_hand)

    assert (total.releases, total.lead_time.n, total.gates_passed.share) == (0, 0, None)
    assert len(metrics(by_hand, by="month")) == 1


def test_what_cannot_be_asked_is_refused(by_hand: Project) -> None:
    with pytest.raises(NotFound) as unknown:
        metrics(by_hand, environment="moon")
    with pytest.raises(InvalidInput) as none:
        metrics(by_hand, by="week", last=0)

    assert str(unknown.value) == (
        "no environment named 'moon' in cd4ml.toml\n  hint: known: staging, production"
    )
    assert str(none.value) == ("expected at least 1 stretch of time, got 0\n  hint: for example 12")


def test_what_a_project_does_is_measured(released: Project) -> None:
    begin(released)
    for seed in range(2, 5):
        advance(released, 40, seed=seed)
    undo(released, environment="production", reason="complaints", actor=MAX)
    live(released, 4, n_labelled=2, seed=9)

    (total,) = metrics(released)

    assert total.releases == 2
    assert (total.change_failures.n, total.change_failures.of) == (1, 2)
    assert total.time_to_restore.n == 1
    assert (total.gates_passed.n, total.gates_passed.of) == (2, 2)
    assert total.label_latency.n == 122
    assert total.label_latency.median_hours is not None
    assert total.label_latency.median_hours >= HOUR / timedelta(hours=1)
    assert isinstance(total.start, datetime)
