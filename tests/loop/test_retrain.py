"""Retraining: on what production has shown, judged beside the champion, nothing done twice."""

import msgspec
import pytest

from cd4ml.errors import Conflict, InvalidInput, NotAllowed, NotFound
from cd4ml.loop import Project
from cd4ml.loop.compare import run_report, runs
from cd4ml.loop.evaluate import verdicts
from cd4ml.loop.ingest import show_dataset
from cd4ml.loop.promote import approve, request
from cd4ml.loop.registry import models
from cd4ml.loop.releases import release_details, releases
from cd4ml.loop.retrain import ask, retrain
from cd4ml.loop.standing import stand
from cd4ml.loop.undo import abort
from cd4ml.loop.watch import collect
from cd4ml.records.job import Job
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.trigger import Trigger
from cd4ml.store import rows
from tests.loop.test_evaluate import change
from tests.loop.world import ANN, DAY, EVE, MAX, actions, live, release_first

STEPS = """\
  { mode = "shadow", predictions = 20 },
  { mode = "canary", weight_percent = 50, predictions = 10, labels = 5 },
"""


def asked(project: Project, n: int = 30) -> Job:
    """A retraining after some answers have come true."""
    live(project, n)
    collect(project)
    return ask(project, reason="new winds", actor=EVE)


def stand_in(project: Project, **margins: float) -> None:
    """A standing approval for a month."""
    stand(
        project,
        model="delay",
        environment="production",
        until=project.clock.now() + 30 * DAY,
        reason="it has been right",
        margins=margins,
        actor=MAX,
    )


def test_a_person_asks_with_a_reason(released: Project) -> None:
    job = ask(released, reason="new winds", actor=EVE)

    assert (job.number, job.kind, job.state, job.created_by) == (1, "retrain", "queued", EVE)
    with released.database.read() as connection:
        (trigger,) = rows.find(connection, Trigger)
    assert (trigger.rule, trigger.model, trigger.job) == ("person", "delay", 1)
    assert trigger.reason == "new winds"
    assert actions(released)[-1] == "retraining.triggered"


def test_asking_twice_at_one_moment_is_asking_once(released: Project) -> None:
    first = ask(released, reason="new winds", actor=EVE)
    before = actions(released)

    assert ask(released, reason="new winds", actor=EVE) == first
    assert actions(released) == before


def test_nobody_can_ask_before_something_is_in_charge(project: Project) -> None:
    before = actions(project)

    with pytest.raises(NotFound) as refused:
        ask(project, reason="why not", actor=ANN)
    with pytest.raises(NotFound, match="nobody named 'mallory'"):
        ask(project, reason="why not", actor="mallory")

    assert str(refused.value) == (
        "no version is in charge yet, so there is nothing to retrain\n"
        "  hint: release one first: cd4ml release MODEL/1 --to ENVIRONMENT"
    )
    assert actions(project) == before


def test_the_candidate_learns_from_production_and_goes_the_same_way(released: Project) -> None:
    report = retrain(released, asked(released))

    assert (report.dataset, report.run, report.verdict) == ("labelled@1", "run/2", "verdict/2")
    assert (report.version, report.releases) == ("delay/2", ("release/3", "release/4"))
    assert report.outcome == ("delay/2 passed; release/3 released, release/4 awaiting_approval")
    run = run_report(released, "run/2").run
    assert run.refs == {"flights": "flights@1", "labelled": "labelled@1"}
    assert (run.experiment, run.created_by) == ("retrain-1", "system")
    (*_, verdict) = verdicts(released)
    assert verdict.champion == "delay/1"
    assert [release.is_retrained for release in releases(released)] == [False, False, True, True]


def test_a_standing_approval_lets_it_begin(released: Project) -> None:
    stand_in(released)

    report = retrain(released, asked(released))

    assert report.outcome == "delay/2 passed; release/3 released, release/4 rolling_out"
    (approval,) = release_details(released, "release/4").approvals
    assert (approval.decided_by, approval.standing) == (MAX, 1)


def test_it_trains_with_the_champion_s_parameters(project: Project) -> None:
    with change(project, "strength: float = 1.0", "strength: float = 0.3", "pipeline.py") as then:
        release_first(then)
        job = asked(then)
    with change(project, "strength: float = 0.3", "strength: float = 1.0", "pipeline.py") as now:
        report = retrain(now, job)
        assert run_report(now, report.run).run.parameters["delay.strength"] == 0.3


def test_a_candidate_that_fails_is_not_released(released: Project) -> None:
    job = asked(released)
    with change(released, "at_least = 0.6", "at_least = 0.99") as stricter:
        report = retrain(stricter, job)

    assert (report.version, report.releases) == ("", ())
    assert report.outcome.startswith("run/2 was not accepted: 1 of 3 findings failed")
    assert len(releases(released)) == 2


def test_the_same_job_again_does_nothing_again(released: Project) -> None:
    stand_in(released)
    job = asked(released)
    first = retrain(released, job)
    before = actions(released)

    assert retrain(released, job) == first
    assert actions(released) == before


def test_taken_over_when_its_version_is_in_charge_already_it_does_nothing_again(
    project: Project,
) -> None:
    """Its first owner died between the last release and saying that the job is done."""
    with change(project, STEPS, "") as at_once:
        release_first(at_once)
        stand_in(at_once)
        job = asked(at_once)
        first = retrain(at_once, job)
        before = actions(at_once)

        again = retrain(at_once, job)

        assert actions(at_once) == before
    assert again == first
    assert again.outcome == "delay/2 passed; release/3 released, release/4 released"


def test_nothing_new_makes_no_second_version_of_the_same_model(released: Project) -> None:
    retrain(released, asked(released))
    before = releases(released), models(released), verdicts(released)

    report = retrain(released, ask(released, reason="once more", actor=ANN))

    assert (releases(released), models(released), verdicts(released)) == before
    assert (report.run, report.version, report.verdict) == ("run/3", "delay/2", "verdict/2")
    assert report.outcome == (
        "nothing new: run/3 made the same model as delay/2; release/3 released;"
        " release/4 awaiting_approval"
    )


def test_a_version_of_a_person_goes_no_further_by_a_retraining_without_news(
    project: Project,
) -> None:
    release_first(project)
    retrain(project, asked(project))
    with project.database.write() as connection:
        version = rows.get(connection, ModelVersion, "delay", 2)
        rows.replace(connection, msgspec.structs.replace(version, created_by=ANN))

    report = retrain(project, ask(project, reason="once more", actor=ANN))

    assert report.outcome == "nothing new: run/3 made the same model as delay/2"
    assert report.releases == ()


def test_what_could_not_be_asked_for_is_asked_for_the_next_time(released: Project) -> None:
    stand_in(released)
    retrain(released, asked(released))
    live(released, 5, seed=2)
    collect(released)
    with pytest.raises(Conflict):
        retrain(released, ask(released, reason="and again", actor=EVE))
    abort(released, "release/4", reason="enough", actor=MAX)

    report = retrain(released, ask(released, reason="and now", actor=ANN))

    assert report.outcome == (
        "nothing new: run/4 made the same model as delay/3; release/5 released;"
        " release/6 rolling_out"
    )
    assert [summary.version.ref for summary in models(released)] == [
        "delay/1",
        "delay/2",
        "delay/3",
    ]


def test_more_labels_meanwhile_do_not_make_another_candidate(released: Project) -> None:
    job = asked(released)
    first = retrain(released, job)
    live(released, 10, seed=2)
    collect(released)

    assert msgspec.structs.replace(retrain(released, job), outcome="") == msgspec.structs.replace(
        first, outcome=""
    )
    assert len(runs(released)) == 2
    assert len(models(released)) == 2
    assert len(show_dataset(released, "labelled").versions) == 1


def test_while_another_candidate_rolls_out_the_next_one_waits_its_turn(
    released: Project,
) -> None:
    stand_in(released)
    retrain(released, asked(released))
    live(released, 5, seed=2)
    collect(released)
    job = ask(released, reason="and again", actor=EVE)

    with pytest.raises(Conflict) as refused:
        retrain(released, job)

    assert str(refused.value) == (
        "delay/3 was not released: release/4 (delay/2) is on its way into production\n"
        "  hint: wait until it has ended, or: cd4ml release abort release/4"
    )
    assert releases(released)[-1].ref == "release/5"


def test_a_pipeline_that_does_not_take_what_production_showed_learns_nothing(
    project: Project,
) -> None:
    change(
        project,
        "def examples(flights: pl.DataFrame, labelled: pl.DataFrame)",
        "def examples(flights: pl.DataFrame)",
        "pipeline.py",
    ).close()
    with change(project, "if not labelled.is_empty()", "if False", "pipeline.py") as deaf:
        release_first(deaf)
        job = asked(deaf)

        for _attempt in range(2):
            with pytest.raises(InvalidInput) as refused:
                retrain(deaf, job)

        assert str(refused.value) == (
            "no step takes the dataset 'labelled', so there is nothing new to learn from\n"
            '  hint: [data.labelled] source = "production" in cd4ml.toml, and a step with it'
        )
        assert len(models(deaf)) == 1


def test_edited_code_does_not_go_to_production_under_a_standing_approval(
    released: Project,
) -> None:
    stand_in(released)
    job = asked(released)
    with change(
        released,
        "LogisticRegression(C=strength)",
        "LogisticRegression(C=2 * strength)",
        "pipeline.py",
    ) as edited:
        report = retrain(edited, job)

        assert report.outcome == "delay/2 passed; release/3 released, release/4 awaiting_approval"
        assert release_details(edited, "release/4").waits_for == (
            "waits for 1 approval by release-manager; standing-approval/1 does not cover it: its"
            " code is not what people agreed to"
        )


def test_within_a_margin_by_the_verdict_s_interval_it_begins_and_beyond_it_waits(
    released: Project,
) -> None:
    stand_in(released, auc=0.0)
    job = asked(released)
    report = retrain(released, job)
    assert report.outcome == "delay/2 passed; release/3 released, release/4 awaiting_approval"
    assert (
        "its auc may be worse than the champion by"
        in release_details(released, "release/4").waits_for
    )
    abort(released, "release/4", reason="too strict", actor=MAX)
    stand_in(released, auc=0.1)
    asked_again = request(released, "delay/2", to="production", is_retrained=True, actor="system")
    assert asked_again.state == "rolling_out"


def test_who_asked_for_it_does_not_approve_what_comes_of_it(released: Project) -> None:
    live(released, 30)
    collect(released)
    retrain(released, ask(released, reason="new winds", actor=MAX))

    with pytest.raises(NotAllowed) as refused:
        approve(released, "release/4", reason="mine", actor=MAX)

    assert str(refused.value) == (
        "max may not approve release/4: who asks for a retraining does not approve what comes of"
        " it\n  hint: somebody else with the role release-manager has to"
    )
