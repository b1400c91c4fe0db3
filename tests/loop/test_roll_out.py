"""A release goes as far as the facts allow, step by step, whoever takes it there."""

import threading

import pytest

from cd4ml.errors import NotFound
from cd4ml.loop import Project, open_project
from cd4ml.loop.promote import approve, request
from cd4ml.loop.registry import models
from cd4ml.loop.releases import release_details, releases
from cd4ml.loop.roll_out import roll_out
from cd4ml.loop.undo import undo
from cd4ml.loop.watch import collect
from cd4ml.records.release import Release
from tests.loop.test_evaluate import change
from tests.loop.test_promote import second, states
from tests.loop.world import ANN, MAX, actions, entries, live


def begin(released: Project) -> Release:
    """delay/2 at the first step of its rollout: a shadow."""
    return approve(released, second(released).ref, reason="go", actor=MAX)


def advance(project: Project, n: int, seed: int) -> list[tuple[str, int]]:
    """Answer some requests, and see how far the releases get."""
    live(project, n, seed=seed)
    collect(project)
    return [(release.state, release.step) for release in roll_out(project)]


def arms(project: Project) -> list[tuple[str, str, float]]:
    """What production answers with."""
    plans = [p for ref in ("2", "4") for p in release_details(project, ref).plans]
    newest = max(plans, key=lambda plan: plan.number)
    return [(arm.ref, arm.role, arm.weight_percent) for arm in newest.arms]


def test_a_rollout_goes_through_shadow_and_canary_to_all(released: Project) -> None:
    assert begin(released).step == 1
    assert arms(released) == [("delay/1", "champion", 100.0), ("delay/2", "shadow", 0.0)]

    assert advance(released, 10, seed=1) == []
    assert advance(released, 15, seed=2) == [("rolling_out", 2)]
    assert arms(released) == [("delay/1", "champion", 50.0), ("delay/2", "canary", 50.0)]
    assert advance(released, 40, seed=3) == [("rolling_out", 3), ("released", 3)]

    assert arms(released) == [("delay/2", "champion", 100.0)]
    assert states(released)[1:] == ["superseded", "released", "released"]
    assert {s.version.ref: s.aliases for s in models(released)}["delay/2"] == ("champion",)
    done = [entry.action for entry in entries(released) if entry.subject == "release/4"]
    assert done == [
        "release.requested",
        "approval.given",
        "release.begun",
        "release.advanced",
        "release.advanced",
        "release.released",
    ]


def test_a_canary_waits_for_labels(released: Project) -> None:
    begin(released)
    advance(released, 25, seed=1)

    live(released, 60, seed=2, n_labelled=0)
    collect(released)

    assert roll_out(released) == []
    waits = release_details(released, "release/4").waits_for
    assert waits.startswith("step 2 of 3 waits for")


def test_the_version_before_is_a_word_away(released: Project) -> None:
    begin(released)
    advance(released, 25, seed=1)
    advance(released, 60, seed=2)

    undone = undo(released, environment="production", reason="complaints", actor=MAX)

    assert undone.ref == "release/2"
    assert arms(released) == [("delay/1", "champion", 100.0)]
    assert {s.version.ref: s.aliases for s in models(released)}["delay/1"] == ("champion",)


def test_without_new_facts_nothing_happens_however_often_it_is_asked(released: Project) -> None:
    begin(released)
    before = actions(released)

    assert [roll_out(released) for _ in range(3)] == [[], [], []]
    assert actions(released) == before


def test_several_who_roll_out_at_once_take_each_step_once(released: Project) -> None:
    begin(released)
    live(released, 25, seed=1)
    collect(released)
    moved: list[Release] = []

    def move() -> None:
        with open_project(released.folder) as project:
            moved.extend(roll_out(project))

    threads = [threading.Thread(target=move) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {(release.state, release.step) for release in moved} == {("rolling_out", 2)}
    assert actions(released).count("release.advanced") == 1


def test_a_release_that_cannot_move_holds_up_no_other(released: Project) -> None:
    branch = '[environments.branch]\napprovals = 1\nroles = ["release-manager"]\n\n[monitoring]'
    with change(released, "[monitoring]", branch) as wider:
        waiting = request(wider, "delay/1", to="branch", actor=ANN)
        rolling = begin(wider)
        live(wider, 25, seed=1)
        collect(wider)

    with change(released, branch, "[monitoring]") as narrower:
        with pytest.raises(NotFound) as refused:
            roll_out(narrower)

        assert "no environment named 'branch'" in str(refused.value)
        by_ref = {release.ref: (release.state, release.step) for release in releases(narrower)}
    assert by_ref[waiting.ref] == ("awaiting_approval", 0)
    assert by_ref[rolling.ref] == ("rolling_out", 2)


def test_one_that_is_not_there_cannot_be_rolled_out(released: Project) -> None:
    with pytest.raises(NotFound) as refused:
        roll_out(released, "release/9")

    assert str(refused.value) == "no release '9'\n  hint: known: 1, 2"
