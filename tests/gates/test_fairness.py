"""Gates on the rates of groups: what they ask, what passes, and what cannot be said."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from cd4ml.errors import ConfigurationError
from cd4ml.gates.between_groups import across, asked_of
from cd4ml.gates.evidence import Evidence
from cd4ml.gates.fairness import METRICS
from cd4ml.gates.judge import judge
from cd4ml.gates.policy import policy_of
from cd4ml.gates.stored import store_evidence, stored_evidence
from cd4ml.gates.verdicts import outcome_of
from cd4ml.measures.estimate import wilson
from cd4ml.measures.fairness import GroupRate
from cd4ml.measures.named_rates import RATES
from cd4ml.measures.proportions import ratio_of_shares
from cd4ml.records.fairness_gate import FairnessGate
from cd4ml.records.finding import Finding
from cd4ml.store.blobs import Blobs
from tests.gates.people import answered, selected
from tests.gates.test_stored import kept


def gate(**changes: Any) -> FairnessGate:
    fields = {"metric": "selection_rate", "groups": ("sex",)}
    limits = (
        {} if {"ratio_at_least", "difference_at_most"} & changes.keys() else {"ratio_at_least": 0.8}
    )
    return FairnessGate(**(fields | limits | changes))


def limit(asked: FairnessGate) -> str:
    return "difference" if asked.ratio_at_least is None else "ratio"


def findings(asked: FairnessGate, seen: Evidence) -> list[Finding]:
    return [each for each in judge(policy_of((asked,)).gates, seen) if each.is_gated]


def test_four_fifths_pass_and_less_fails() -> None:
    (passed,) = findings(gate(), selected(f=(400, 1000), m=(500, 1000)))
    (failed,) = findings(gate(), selected(f=(300, 1000), m=(500, 1000)))
    koopman = ratio_of_shares(300, 1000, 500, 1000)

    assert (passed.value, passed.outcome) == (0.8, "pass")
    assert passed.reason == (
        "sex=f 0.4 (1,000 rows) beside sex=m 0.5 (1,000 rows);"
        " the value passes, but its interval reaches beyond the limit"
    )
    assert failed == Finding(
        kind="fairness",
        gate="selection_rate ratio at least 0.8 across sex",
        metric="selection_rate ratio",
        value=0.6,
        low=koopman.low,
        high=koopman.high,
        limit=0.8,
        n_rows=2000,
        outcome="fail",
        reason="sex=f 0.3 (1,000 rows) beside sex=m 0.5 (1,000 rows)",
    )


def test_a_difference_is_asked_alike() -> None:
    asked = gate(difference_at_most=0.1)

    (passed,) = findings(asked, selected(f=(400, 1000), m=(500, 1000)))
    (failed,) = findings(asked, selected(f=(300, 1000), m=(500, 1000)))

    assert (passed.gate, passed.outcome) == (
        "selection_rate difference at most 0.1 across sex",
        "pass",
    )
    assert failed.value == pytest.approx(0.2)
    assert failed.outcome == "fail"


def test_by_interval_only_what_is_sure_passes() -> None:
    few, many = selected(f=(45, 100), m=(50, 100)), selected(f=(9000, 20000), m=(10000, 20000))

    assert findings(gate(), few)[0].outcome == "pass"
    (undecided,) = findings(gate(by="interval"), few)
    assert (undecided.outcome, undecided.reason) == (
        "inconclusive",
        "sex=f 0.45 (100 rows) beside sex=m 0.5 (100 rows);"
        " the interval reaches beyond the limit: more rows are needed",
    )
    assert findings(gate(by="interval"), many)[0].outcome == "pass"
    assert findings(gate(by="interval"), selected(f=(5, 100), m=(50, 100)))[0].outcome == "fail"


def test_a_favourable_answer_may_be_0() -> None:
    """Of a model of refusals: 0.05 and 0.10 refused are a ratio of 0.5, but nearly all get a loan."""
    seen = selected(f=(100, 1000), m=(50, 1000))

    assert findings(gate(), seen)[0].outcome == "fail"
    (turned,) = findings(gate(favourable=0), seen)
    assert (turned.outcome, turned.value) == ("pass", pytest.approx(0.9 / 0.95))


def test_the_threshold_says_which_scores_are_answered_1() -> None:
    seen = selected(f=(300, 1000), m=(500, 1000))

    assert findings(gate(threshold=0.9), seen)[0].value == 0.6
    assert findings(gate(threshold=0.1), seen)[0].value == 1.0
    (nobody,) = findings(gate(threshold=0.95), seen)
    assert (nobody.outcome, nobody.reason) == (
        "error",
        "the rate is 0 in every group, so there is no ratio",
    )
    (alike,) = findings(gate(threshold=0.95, difference_at_most=0.1), seen)
    assert (alike.outcome, alike.value) == ("pass", 0.0)


def test_equalised_odds_are_asked_of_both_rates() -> None:
    seen = answered({"f": (80, 20, 30, 70), "m": (82, 18, 10, 90)})

    recall, false_positives = findings(gate(metric="equalised_odds", difference_at_most=0.1), seen)

    assert (recall.gate, recall.outcome) == ("recall difference at most 0.1 across sex", "pass")
    assert recall.value == pytest.approx(0.02)
    assert (false_positives.gate, false_positives.outcome) == (
        "false_positive_rate difference at most 0.1 across sex",
        "fail",
    )
    assert false_positives.value == pytest.approx(0.2)


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_groups_that_are_treated_alike_pass_every_rate(metric: str) -> None:
    alike = answered({"f": (80, 20, 30, 70), "m": (160, 40, 60, 140)})

    found = findings(gate(metric=metric, difference_at_most=0.05), alike)

    assert {each.outcome for each in found} == {"pass"}


def test_calibration_compares_what_happened_with_what_was_said() -> None:
    """Both groups are said to pay alike; the women do so more often than the men."""
    seen = answered({"f": (80, 20, 20, 80), "m": (60, 40, 40, 60)})._replace(
        score=np.full(400, 0.5)
    )
    other = answered({"f": (90, 10, 0, 0), "m": (60, 40, 0, 0), "x": (0, 0, 0, 50)})

    (fair,) = findings(gate(metric="calibration", difference_at_most=0.05), seen)
    (unfair, *_) = findings(
        gate(metric="calibration", difference_at_most=0.05),
        other._replace(score=np.full(250, 0.5)),
    )

    assert (fair.outcome, fair.value) == ("pass", 0.0)
    assert (unfair.outcome, unfair.value) == ("fail", pytest.approx(1.0))


def test_two_columns_are_crossed_and_each_is_asked_alone() -> None:
    """Neither women nor the old are worse off, but old women are."""
    seen = answered(
        {"f": (150, 0, 0, 50), "m": (150, 0, 0, 50)},
        age=["old"] * 50 + ["young"] * 100 + ["old"] * 50 + ["old"] * 100 + ["young"] * 100,
    )

    alone, crossed = findings(gate(groups=("sex", ("sex", "age"))), seen)

    assert (alone.value, alone.outcome) == (1.0, "pass")
    assert crossed.gate == "selection_rate ratio at least 0.8 across sex x age"
    assert (crossed.value, crossed.outcome) == (0.5, "fail")
    assert crossed.reason == "sex=f & age=old 0.5 (100 rows) beside sex=f & age=young 1 (100 rows)"


def test_a_group_of_five_decides_nothing_and_is_not_forgotten() -> None:
    seen = selected(f=(400, 1000), m=(450, 1000), x=(0, 5))

    (undecided,) = findings(gate(), seen)
    (shown,) = findings(gate(small="shown"), seen)

    assert (undecided.value, undecided.outcome) == (pytest.approx(8 / 9), "inconclusive")
    assert undecided.reason.endswith("; fewer than 30 rows: sex=x (5)")
    assert shown.outcome == "pass"
    assert shown.reason.endswith("; not compared: fewer than 30 rows: sex=x (5)")
    assert findings(gate(min_rows=5), seen)[0].value == 0.0


def test_a_failure_is_no_less_sure_for_a_small_group_beside_it() -> None:
    (failed,) = findings(gate(), selected(f=(300, 1000), m=(500, 1000), x=(0, 5)))

    assert failed.outcome == "fail"


def test_the_size_of_a_group_counts_the_rows_that_the_rate_is_a_share_of() -> None:
    """A thousand rows, of which ten are favourable, say little of recall."""
    seen = answered({"f": (5, 5, 0, 990), "m": (450, 50, 0, 500)})

    (undecided,) = findings(gate(metric="recall"), seen)

    assert (undecided.outcome, undecided.value) == ("inconclusive", None)
    assert undecided.reason == (
        "fewer than 2 groups have 30 rows with a favourable outcome;"
        " fewer than 30 rows with a favourable outcome: sex=f (10)"
    )


def test_a_rate_that_a_group_does_not_define_is_an_error() -> None:
    seen = answered({"f": (40, 60, 0, 0), "m": (60, 40, 0, 0), "x": (0, 0, 0, 50)})
    asked = gate(metric="recall", difference_at_most=0.3)

    (undefined,) = findings(asked, seen)
    shown = [each for each in judge((asked,), seen) if not each.is_gated]

    assert undefined.outcome == "error"
    assert undefined.reason.endswith("; no rows with a favourable outcome, so no recall: sex=x")
    assert (shown[2].slice, shown[2].outcome, shown[2].reason) == (
        "sex=x",
        "error",
        "none of its 50 rows are rows with a favourable outcome",
    )


def test_each_group_is_shown_beside_the_one_that_is_best_off() -> None:
    seen = selected(f=(300, 1000), m=(500, 1000), x=(2, 5))

    shown = [each for each in judge((gate(),), seen) if not each.is_gated]

    assert [(each.gate, each.value, each.limit, each.n_rows, each.outcome) for each in shown] == [
        ("selection_rate of sex=f", 0.3, 0.4, 1000, "fail"),
        ("selection_rate of sex=m", 0.5, 0.4, 1000, "pass"),
        ("selection_rate of sex=x", 0.4, 0.4, 5, "inconclusive"),
    ]
    assert [(each.low, each.high) for each in shown[:1]] == [
        (pytest.approx(0.2724, abs=1e-4), pytest.approx(0.3291, abs=1e-4))
    ]
    assert shown[2].reason == "5 rows; fewer than 30 say too little"


def test_of_errors_the_smaller_rate_is_the_better_one() -> None:
    seen = answered({"f": (50, 50, 30, 70), "m": (50, 50, 10, 90)})

    shown = [
        each for each in judge((gate(metric="false_positive_rate"),), seen) if not each.is_gated
    ]

    assert [(each.value, each.outcome) for each in shown] == [(0.3, "fail"), (0.1, "pass")]
    assert shown[0].limit == pytest.approx(0.125)


def test_what_nobody_knows_is_a_group_of_its_own() -> None:
    seen = answered({"f": (50, 50, 50, 50), "m": (50, 50, 50, 50)})
    assert seen.holdout is not None
    unknown = pl.when(pl.int_range(pl.len()) < 100).then(None).otherwise(pl.col("sex"))
    hidden = seen._replace(holdout=seen.holdout.with_columns(sex=unknown))

    shown = [each.slice for each in judge((gate(),), hidden) if not each.is_gated]

    assert shown == ["sex=f", "sex=m", "sex=null"]


def test_rows_that_make_no_groups_are_errors_with_their_reason() -> None:
    seen = selected(f=(400, 1000), m=(450, 1000))
    assert seen.holdout is not None
    many = seen.holdout.with_columns(sex=pl.int_range(pl.len()))

    def reason(asked: FairnessGate, rows: Evidence) -> str:
        (found,) = findings(asked, rows)
        assert (found.outcome, found.metric) == ("error", f"{asked.metric} {limit(asked)}")
        return found.reason

    assert reason(gate(groups=("race",)), seen) == (
        "the holdout has no column 'race'; known: sex, paid"
    )
    assert reason(gate(groups=("paid",)), seen) == (
        "'paid' is what is to be predicted, and tells no people apart"
    )
    assert reason(gate(), selected(f=(400, 1000))) == (
        "all rows are sex=f: there is nobody to compare with"
    )
    assert reason(gate(), seen._replace(holdout=many)) == (
        "2,000 values of sex are no 50 groups or fewer: cut them into bands"
    )
    assert reason(gate(), seen._replace(holdout=None)) == "the rows of the holdout are not there"
    assert reason(gate(), seen._replace(y_true=np.zeros(2000))) == (
        "all 2000 rows have the target 0: nothing to tell apart"
    )
    assert reason(gate(), seen._replace(y_true=seen.y_true + 1)) == (
        "a label is 0 or 1, got 2 in row 0; encode it before"
    )
    far = seen._replace(score=seen.score * 5)
    assert reason(gate(metric="calibration", difference_at_most=0.1), far) == (
        "calibration needs probabilities, got scores below 0 or above 1"
    )


def test_it_is_judged_again_from_what_is_stored(blobs: Blobs) -> None:
    seen = selected(f=(300, 1000), m=(500, 1000))
    asked = policy_of((gate(groups=("sex",), difference_at_most=0.1),))

    again = judge(asked.gates, stored_evidence(blobs, kept(blobs, seen)))

    assert again == judge(asked.gates, seen)
    assert outcome_of(again) == "fail"
    assert set(store_evidence(blobs, seen)) == {"judged", "rows"}


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        (
            {"metric": "f1"},
            "there is no rate of groups named 'f1' - at `gate[0].metric`",
            "known: accuracy, calibration, equalised_odds, false_positive_rate, precision,"
            " recall, selection_rate",
        ),
        (
            {"ratio_at_least": None},
            "a gate on the selection_rate of groups needs a limit - at `gate[0]`",
            "ratio_at_least or difference_at_most",
        ),
        (
            {"ratio_at_least": 80.0},
            "a ratio of the smaller to the larger is above 0 and at most 1, got 80"
            " - at `gate[0].ratio_at_least`",
            "0.8 is the four-fifths rule",
        ),
        (
            {"difference_at_most": 1.0},
            "a difference of shares is at least 0 and below 1, got 1"
            " - at `gate[0].difference_at_most`",
            "for example 0.1",
        ),
        (
            {"difference_at_most": float("nan")},
            "a difference of shares is at least 0 and below 1, got nan"
            " - at `gate[0].difference_at_most`",
            "for example 0.1",
        ),
        (
            {"metric": "calibration", "ratio_at_least": 0.8},
            "calibration is 0 at its best, and has no ratio - at `gate[0].ratio_at_least`",
            "difference_at_most = 0.05",
        ),
        (
            {"groups": ()},
            "expected columns that tell people apart - at `gate[0].groups`",
            'groups = ["sex", ["sex", "age_band"]] takes each alone, and both crossed',
        ),
        (
            {"groups": (("sex", "sex"),)},
            "a column stands twice in ['sex', 'sex'] - at `gate[0].groups`",
            'groups = ["sex", ["sex", "age_band"]] takes each alone, and both crossed',
        ),
        (
            {"groups": (("sex", "age"), ("age", "sex"))},
            "the same columns stand there twice - at `gate[0].groups`",
            'groups = ["sex", ["sex", "age_band"]] takes each alone, and both crossed',
        ),
        (
            {"threshold": float("inf")},
            "a threshold of probabilities is above 0 and at most 1, got inf - at `gate[0].threshold`",
            "for example 0.5",
        ),
        (
            {"min_rows": 0},
            "a group has 1 row or more, got 0 - at `gate[0].min_rows`",
            "30 is the default",
        ),
    ],
)
def test_a_gate_that_cannot_be_meant_is_refused_when_it_is_read(
    changes: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        policy_of((gate(**changes),))

    expected = f"cd4ml.toml: {message}" + (f"\n  hint: {hint}" if hint else "")
    assert str(refused.value) == expected


def test_by_interval_models_on_the_limit_are_hardly_ever_passed_or_failed() -> None:
    """Three groups, of which one has exactly four fifths of the others' rate."""
    chance = np.random.default_rng(0)
    (asked,) = asked_of(RATES["selection_rate"], ("sex",), gate(by="interval"), (0.8, None))
    outcomes = []
    for _ in range(300):
        sizes, shares = (150, 400, 600), (0.4, 0.5, 0.5)
        found = [
            GroupRate(f"sex={i}", n, counted := int(chance.binomial(n, share)), wilson(counted, n))
            for i, (n, share) in enumerate(zip(sizes, shares, strict=True))
        ]
        outcomes.append(across(asked, found).outcome)

    assert outcomes.count("pass") / 300 <= 0.05
    assert outcomes.count("fail") / 300 <= 0.05
