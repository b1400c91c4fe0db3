"""A past candidate by another policy: what was seen decides, what was not is said."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.gates.judge import judge
from cd4ml.gates.kinds import KINDS, Kind
from cd4ml.gates.policy import Policy, policy_of
from cd4ml.gates.replay import not_looked_at, rejudge
from cd4ml.records.finding import Finding, worst
from cd4ml.records.metric_gate import MetricGate
from tests.gates.builders import evidence

STRICT = MetricGate(metric="auc", at_least=0.99)
LOOSE = MetricGate(metric="auc", at_least=0.55)
SHARED = Finding(gate="shared rows at most 0", metric="shared rows", outcome="error")


class HourGate(msgspec.Struct, frozen=True, tag_field="kind", tag="hours"):
    """A kind that needs a record of its own."""

    at_most: float


class Hours(msgspec.Struct, frozen=True):
    """That record."""

    hours: float


def judge_hours(gate: HourGate, seen: Any) -> list[Finding]:
    hours = seen.gathered["hours"].hours
    outcome = "pass" if hours <= gate.at_most else "fail"
    return [Finding(gate="hours", metric="hours", value=hours, outcome=outcome)]


@pytest.fixture
def hours(monkeypatch: pytest.MonkeyPatch) -> Policy:
    """A policy that asks for such a record beside a metric."""
    kind = Kind(lambda gate, path: None, judge_hours, record=Hours)
    monkeypatch.setitem(KINDS, "hours", kind)
    return Policy((LOOSE, HourGate(at_most=5)))  # type: ignore[arg-type]


def test_another_limit_decides_by_the_same_rows() -> None:
    seen = evidence(champion_skill=0.8)

    assert rejudge(policy_of((LOOSE,)), seen).outcome == "pass"
    stopped = rejudge(policy_of((LOOSE, STRICT)), seen)
    assert (stopped.outcome, stopped.is_stopped) == ("fail", True)
    assert [finding.outcome for finding in stopped.findings] == ["pass", "fail"]
    assert stopped.unseen == ()


def test_a_kind_whose_record_nobody_gathered_then_is_said_and_not_guessed(hours: Policy) -> None:
    again = rejudge(hours, evidence())

    assert (again.outcome, again.is_stopped) == ("not looked at", False)
    assert [(each.gate, each.reason) for each in again.unseen] == [
        ("gate[1] hours", "not looked at then")
    ]


def test_what_was_gathered_then_is_judged_by_the_new_limit(hours: Policy) -> None:
    quick = evidence(gathered={"hours": Hours(hours=3)})
    slow = evidence(gathered={"hours": Hours(hours=9)})

    assert rejudge(hours, quick).outcome == "pass"
    assert rejudge(hours, slow).outcome == "fail"


def test_what_was_seen_stops_a_candidate_whatever_was_not(hours: Policy) -> None:
    strict = Policy((STRICT, *hours.gates))

    again = rejudge(strict, evidence())

    assert (again.outcome, len(again.unseen)) == ("fail", 1)


def test_what_could_not_be_had_then_says_why(hours: Policy) -> None:
    seen = evidence(missing={"hours": "the endpoint did not start"})

    (unseen,) = rejudge(hours, seen).unseen

    assert unseen.reason == "it could not be had then: the endpoint did not start"


def test_a_version_that_did_not_answer_for_these_rows_is_not_compared() -> None:
    gate = MetricGate(metric="brier", no_worse_than={"delay/9": 0.01, "champion": 0.5})
    seen = evidence(champion_skill=0.8)

    again = rejudge(policy_of((gate,)), seen)

    assert again.outcome == "not looked at"
    assert not_looked_at(gate, seen) == "no scores of delay/9 on these rows were kept"
    assert not_looked_at(MetricGate(metric="auc", better_than="trivial"), seen) == ""


def test_a_judge_that_raises_for_want_of_evidence_does_not_stop(hours: Policy) -> None:
    again = rejudge(hours, evidence(gathered={"hours": None}))

    assert again.outcome == "not looked at"
    assert again.unseen[0].reason.startswith("cannot be measured from what is stored: ")


@pytest.mark.parametrize(
    "changes", [{"y_true": np.zeros(2000)}, {"score": np.full(2000, np.nan)}, {"found": (SHARED,)}]
)
def test_rows_that_measure_nothing_stop_a_candidate_as_they_did_then(
    changes: dict[str, Any],
) -> None:
    again = rejudge(policy_of((LOOSE,)), evidence(**changes))

    assert (again.outcome, again.is_stopped) == ("error", True)


@given(st.lists(st.sampled_from([0.5, 0.6, 0.7, 0.9, 0.99]), min_size=1, max_size=4))
def test_with_all_of_its_evidence_a_policy_says_what_it_would_have_said(
    floors: list[float],
) -> None:
    policy = policy_of(tuple(MetricGate(metric="auc", at_least=floor) for floor in floors))
    seen = evidence(n=300)

    again = rejudge(policy, seen)

    assert again.outcome == worst(tuple(finding.outcome for finding in again.findings))
    assert again.is_stopped == (again.outcome != "pass")


def test_what_the_rows_cannot_measure_stops_as_it_would_have_then() -> None:
    amounts = MetricGate(metric="mape", at_most=0.5)  # of rows whose target is 0

    again = rejudge(policy_of((LOOSE, amounts)), evidence())

    assert (again.outcome, again.is_stopped, again.unseen) == ("error", True, ())


def test_an_error_that_the_verdict_says_too_is_one(hours: Policy) -> None:
    seen = evidence(gathered={"hours": None})
    then = judge(hours.gates, seen)

    again = rejudge(hours, seen, then)

    assert (again.outcome, again.is_stopped, again.unseen) == ("error", True, ())
