"""Production is measured window by window: each once, on a log with everything in it."""

import fcntl
import threading
import time

import pytest

from cd4ml.errors import NotFound
from cd4ml.loop import Project, open_project
from cd4ml.loop.watch import alerts, collect, watch, windows
from tests.loop.world import BEGIN, DAY, EVE, HOUR, actions, live, move


def mature(project: Project) -> None:
    """A first day of answers, and the time after which it is measured."""
    live(project, 30)
    move(project, 2 * HOUR)


def test_answers_are_collected_once(released: Project) -> None:
    ids = live(released, 5, n_labelled=0)

    assert [collect(released), collect(released)] == [5, 0]
    assert sorted(released.log.predictions().collect()["prediction_id"]) == sorted(ids)


def test_collecting_waits_for_whoever_collects(released: Project) -> None:
    live(released, 5, n_labelled=0)
    collected: list[int] = []
    with (released.segments / "collector.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        thread = threading.Thread(target=lambda: collected.append(collect(released)))
        thread.start()
        time.sleep(0.2)
        assert collected == []

    thread.join()

    assert collected == [5]


def test_a_window_is_measured_when_it_is_mature(released: Project) -> None:
    live(released, 22)  # until 23:00
    assert watch(released).windows == ()
    move(released, HOUR)
    assert watch(released).windows == ()

    move(released, HOUR)
    (window,) = watch(released).windows

    assert (window.start, window.end) == (BEGIN, BEGIN + DAY)
    assert (window.n_predictions, window.n_labels, window.coverage) == (22, 22, 1.0)
    assert window.champion == 1
    assert windows(released) == [window]
    assert windows(released, environment="staging") == []
    assert actions(released).count("window.measured") == 1


def test_a_window_is_measured_once(released: Project) -> None:
    mature(released)
    first = watch(released)
    before = actions(released)

    again = watch(released)

    assert len(first.windows) == 1
    assert (again.windows, again.alerts, again.triggers) == ((), (), ())
    assert actions(released) == before


def test_several_who_watch_at_once_measure_it_once(released: Project) -> None:
    mature(released)
    seen: list[int] = []

    def look() -> None:
        with open_project(released.folder) as project:
            seen.append(len(watch(project).windows))

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(seen) == [0, 0, 1]
    assert actions(released).count("window.measured") == 1
    assert actions(released).count("retraining.triggered") == 1


def test_another_world_raises_an_alert_and_asks_for_retraining(released: Project) -> None:
    live(released, 300, apart=HOUR / 20, stormy=True)
    move(released, DAY)

    report = watch(released)

    assert [alert.kind for alert in report.alerts] == ["drift"]
    assert "wind moved by" in report.alerts[0].message
    assert alerts(released) == list(report.alerts)
    assert [trigger.rule for trigger in report.triggers] == ["window"]
    assert actions(released)[-3:] == ["window.measured", "alert.raised", "retraining.triggered"]


def test_a_day_without_answers_is_a_window_too(released: Project) -> None:
    live(released, 5)
    move(released, 3 * DAY)

    measured = watch(released).windows

    assert [window.n_predictions for window in measured] == [5, 0, 0]
    assert measured[1].champion == 0


def test_windows_of_an_environment_that_is_not_there_are_not_listed(released: Project) -> None:
    assert windows(released, environment="staging") == []
    with pytest.raises(NotFound) as refused:
        windows(released, environment="nope")

    assert str(refused.value) == (
        "no environment named 'nope' in cd4ml.toml\n  hint: known: staging, production"
    )


def test_nothing_in_charge_nothing_to_watch(project: Project) -> None:
    move(project, 3 * DAY)

    report = watch(project)

    assert (report.collected, report.windows, report.alerts, report.triggers) == (0, (), (), ())


def test_whoever_is_not_known_does_not_watch(released: Project) -> None:
    mature(released)

    with pytest.raises(NotFound, match="nobody named 'mallory'"):
        watch(released, actor="mallory")

    assert windows(released) == []
    assert len(watch(released, actor=EVE).windows) == 1
