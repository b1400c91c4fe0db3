"""A candidate is the next in the series of releases: no sudden fall, and no slow slide."""

from typing import Any

import numpy as np
import pytest

from cd4ml.errors import ConfigurationError
from cd4ml.gates.evidence import Evidence
from cd4ml.gates.judge import judge
from cd4ml.gates.policy import policy_of
from cd4ml.measures.ranking import auc
from cd4ml.records.finding import Finding
from cd4ml.records.history import History, Past
from cd4ml.records.trend_gate import TrendGate
from tests.gates.builders import amounts, evidence

GATE = TrendGate(metric="auc")
NOW = auc(evidence().y_true, evidence().score).value


def after(*values: float, metric: str = "auc", seen: Evidence | None = None) -> Evidence:
    """Evidence on a candidate after releases with these values."""
    past = tuple(
        Past(version=f"delay/{i}", verdict=f"verdict/{i}", value=value, n_rows=2000)
        for i, value in enumerate(values, start=1)
    )
    seen = evidence() if seen is None else seen
    return seen._replace(gathered={"trend": History(of={metric: past})})


def findings(*values: float, gate: TrendGate = GATE, **more: Any) -> tuple[Finding, Finding]:
    limit, slide = (f for f in judge((gate,), after(*values, **more)) if f.is_gated)
    return limit, slide


def test_a_slow_slide_over_five_releases_is_caught_though_each_step_is_small() -> None:
    steps = [NOW + 0.005 * i for i in (5, 4, 3, 2, 1)]  # each 0.005 below the one before

    limit, slide = findings(*steps)

    assert limit.outcome == "pass"
    assert slide.outcome == "fail"
    assert slide.gate == "auc does not slide over 5 releases"
    assert slide.value == pytest.approx(-0.025)
    assert slide.reason.endswith(": so steadily down by chance once in 720")


def test_four_releases_are_enough_for_a_steady_slide() -> None:
    assert findings(*(NOW + 0.01 * i for i in (4, 3, 2, 1)))[1].outcome == "fail"


def test_a_sudden_fall_is_below_the_control_limit() -> None:
    limit, slide = findings(NOW + 0.10, NOW + 0.11, NOW + 0.10, NOW + 0.09, NOW + 0.10)

    assert limit.gate == "auc within the control limit of 5 releases"
    assert limit.limit is not None
    assert (limit.outcome, limit.value, limit.limit > NOW) == ("fail", NOW, True)
    assert limit.reason.startswith("a fall that the releases do not explain: ")
    assert slide.outcome == "pass"


def test_values_that_go_up_and_down_as_before_pass() -> None:
    limit, slide = findings(NOW + 0.01, NOW - 0.01, NOW + 0.004, NOW - 0.003, NOW + 0.002)

    assert (limit.outcome, limit.reason) == (slide.outcome, slide.reason) == ("pass", "")


def test_an_error_measure_slides_by_rising() -> None:
    seen = amounts()
    now = float(np.abs(seen.y_true - seen.score).mean())
    gate = TrendGate(metric="mae")

    rising = findings(
        *(now - 0.02 * i for i in (5, 4, 3, 2, 1)), gate=gate, metric="mae", seen=seen
    )
    falling = findings(
        *(now + 0.02 * i for i in (5, 4, 3, 2, 1)), gate=gate, metric="mae", seen=seen
    )

    assert (rising[1].outcome, falling[1].outcome) == ("fail", "pass")
    assert rising[1].value == pytest.approx(0.1)


def test_a_slide_by_less_than_is_allowed_passes() -> None:
    steps = [NOW + 0.001 * i for i in (5, 4, 3, 2, 1)]

    assert findings(*steps)[1].outcome == "fail"
    assert findings(*steps, gate=TrendGate(metric="auc", slide=0.01))[1].outcome == "pass"


def test_only_the_newest_releases_count() -> None:
    recovered = [NOW + 0.3, NOW + 0.2, NOW - 0.01, NOW - 0.01, NOW - 0.005, NOW - 0.002]

    assert findings(*recovered, gate=TrendGate(metric="auc", releases=4))[1].outcome == "pass"


def test_too_few_releases_pass_and_say_so() -> None:
    limit, slide = findings(NOW + 0.3, NOW + 0.2)

    assert (limit.outcome, limit.reason) == ("pass", "2 released so far: 3 are needed to tell")
    assert (slide.outcome, slide.reason) == ("pass", "2 released so far: 4 are needed to tell")


def test_releases_that_were_all_the_same_leave_room_for_the_error_of_measuring() -> None:
    limit, slide = findings(*[NOW + 1e-6] * 5)

    assert (limit.outcome, slide.outcome) == ("pass", "pass")


def test_what_cannot_be_measured_is_an_error() -> None:
    seen = after(0.7, 0.7, 0.7)

    (one_class,) = judge((GATE,), seen._replace(y_true=np.zeros(2000)))
    (unseen,) = judge((GATE,), seen._replace(gathered={}))
    (missing,) = judge((GATE,), seen._replace(gathered={}, missing={"trend": "the store is away"}))

    assert [(f.outcome, f.reason) for f in (one_class, unseen, missing)] == [
        ("error", "all 2000 rows have the target 0: nothing to tell apart"),
        ("error", "no evidence of this kind was gathered"),
        ("error", "the store is away"),
    ]


@pytest.mark.parametrize("n_past", [4, 7])
def test_of_equally_good_candidates_no_more_are_refused_than_the_gate_says(n_past: int) -> None:
    chance = np.random.default_rng(n_past)
    gate = TrendGate(metric="mae", false_alarms=0.1)
    refused, n_cases = 0, 600
    for _ in range(n_cases):
        # each value is that of 200 rows, like the candidate's: nothing but the rows differs
        values = np.abs(chance.laplace(0, 3, (n_past + 1, 200))).mean(axis=1)
        seen = amounts(n=200)
        errors = chance.choice([-1, 1], 200) * np.abs(chance.laplace(0, 3, 200))
        seen = seen._replace(score=seen.y_true + errors)
        found = judge((gate,), after(*values[:n_past], metric="mae", seen=seen))
        refused += any(f.outcome == "fail" for f in found)

    assert refused / n_cases <= 0.1 + 2.5 * np.sqrt(0.1 * 0.9 / n_cases)


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (
            TrendGate(metric="acc"),
            "there is no measure named 'acc' - at `gate[0].metric`",
        ),
        (
            TrendGate(metric="auc", releases=3),
            "with false_alarms = 0.05 a slide shows in 4 to 50 releases, got 3"
            " - at `gate[0].releases`\n  hint: 8 look back far enough for most",
        ),
        (
            TrendGate(metric="auc", false_alarms=0.001, releases=5),
            "with false_alarms = 0.001 a slide shows in 6 to 50 releases, got 5"
            " - at `gate[0].releases`\n  hint: 8 look back far enough for most",
        ),
        (
            TrendGate(metric="auc", false_alarms=0.5),
            "a share of false alarms is between 0 and 0.5, got 0.5 - at `gate[0].false_alarms`\n"
            "  hint: 0.05 refuses one good one in twenty",
        ),
        (
            TrendGate(metric="auc", slide=-0.1),
            "the slide that may be is 0 or more, got -0.1 - at `gate[0].slide`\n"
            "  hint: 0.01, in the metric's unit",
        ),
        (
            TrendGate(metric="auc", slide=2.0),
            "nothing slides by 2 in auc, so this asks nothing - at `gate[0].slide`\n"
            "  hint: 0.01, in the metric's unit",
        ),
    ],
)
def test_a_trend_that_nobody_can_mean_is_refused(gate: TrendGate, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        policy_of((gate,))

    assert str(caught.value).startswith(f"cd4ml.toml: {message}")
