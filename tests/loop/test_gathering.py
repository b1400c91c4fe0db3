"""What a judge needs is gathered: history of the releases, seasons, and what could not be had."""

from cd4ml.gates.judge import judge
from cd4ml.gates.policy import policy_of
from cd4ml.gates.stored import stored_evidence
from cd4ml.loop import Project
from cd4ml.loop.evaluate import Judgement, evaluate
from cd4ml.loop.promote import request
from cd4ml.loop.train import train
from cd4ml.loop.undo import undo
from cd4ml.records.finding import Finding
from tests.loop.test_evaluate import change
from tests.loop.world import ANN

TREND = """\
[[gate]]
kind = "trend"
metric = "brier"

[[gate]]
"""
ONE_ENVIRONMENT = '[environments.production]\napprovals = 1\nroles = ["release-manager"]'


def judged(project: Project, strength: float) -> Judgement:
    """A candidate whose forecasts are the blunter, the smaller the strength."""
    run = train(project, overrides={"delay.strength": strength}, actor=ANN).run
    return evaluate(project, run.ref, actor=ANN)


def released(project: Project, strength: float) -> Judgement:
    """The same, released at once."""
    judgement = judged(project, strength)
    assert judgement.version is not None, judgement.message
    request(project, judgement.version.ref, to="production", actor=ANN)
    return judgement


def trend(judgement: Judgement) -> list[Finding]:
    return [f for f in judgement.verdict.findings if f.gate.startswith("brier") and not f.slice][:2]


def at_once(project: Project) -> Project:
    """The project with a trend gate, and production without approvals or rollout."""
    text = (project.folder / "cd4ml.toml").read_text()
    begin, end = text.index("[environments.staging]"), text.index("[monitoring]")
    without = text[:begin] + "[environments.production]\n\n" + text[end:]
    (project.folder / "cd4ml.toml").write_text(without.replace("[[gate]]\n", TREND, 1))
    return change(project, "champion = 0.1", "champion = 0.2")


def test_a_slide_over_five_releases_is_refused_though_each_step_passes(project: Project) -> None:
    with at_once(project) as sliding:
        steps = [released(sliding, strength) for strength in (1.0, 0.02, 0.01, 0.006)]

        last = judged(sliding, 0.004)

        assert [trend(step)[1].reason for step in steps] == [
            f"{n} released so far: 4 are needed to tell" for n in range(4)
        ]
        limit, slide = trend(last)
        assert limit.gate == "brier within the control limit of 4 releases"
        assert (slide.outcome, last.verdict.outcome) == ("fail", "fail")
        others = [f for f in last.verdict.findings if f.is_gated and not f.gate.startswith("brier")]
        assert {finding.outcome for finding in others} == {"pass"}
        again = judge(
            policy_of(sliding.settings.gate).gates, stored_evidence(sliding.blobs, last.verdict)
        )
        assert again == last.verdict.findings


def test_releases_that_were_undone_are_no_history(project: Project) -> None:
    with at_once(project) as sliding:
        for strength in (1.0, 0.5, 0.2):
            released(sliding, strength)
        undo(sliding, environment="production", reason="customers complain", actor=ANN)

        limit, slide = trend(judged(sliding, 0.3))

        assert limit.reason == "2 released so far: 3 are needed to tell"
        assert slide.reason == "2 released so far: 4 are needed to tell"


def test_last_season_is_scored_from_the_training_rows(project: Project) -> None:
    gate = 'better_than = "last-day"\nno_worse_than = { last-week = 0.05 }'
    with change(
        project, 'better_than = "trivial"\nno_worse_than = { champion = 0.1 }', gate
    ) as asked:
        verdict = judged(asked, 1.0).verdict

        by_name = {f.gate: f for f in verdict.findings if f.is_gated}
        assert by_name["auc better than last-day"].outcome == "pass"
        assert by_name["auc no worse than last-week by 0.05"].outcome == "pass"
        seen = stored_evidence(asked.blobs, verdict)
        assert sorted(seen.others) == ["last-day", "last-week"]
        assert judge(policy_of(asked.settings.gate).gates, seen) == verdict.findings


def test_a_season_without_times_is_an_error_with_its_reason(project: Project) -> None:
    with (
        change(project, 'better_than = "trivial"', 'better_than = "last-week"') as asked,
        change(asked, "[model]\n", '[model]\nevent_time = "landed_at"\n') as lost,
    ):
        verdict = judged(lost, 1.0).verdict

        (finding,) = (f for f in verdict.findings if f.gate == "auc better than last-week")
        assert (finding.outcome, finding.reason) == (
            "error",
            "the training rows have no column 'landed_at', which says when they happened",
        )
