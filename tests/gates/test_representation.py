"""Gates on the training rows: who is among them, what became of them, what is not known of them."""

from typing import Any

import polars as pl
import pytest

from cd4ml.errors import ConfigurationError
from cd4ml.gates.evidence import Evidence
from cd4ml.gates.judge import judge
from cd4ml.gates.policy import policy_of
from cd4ml.gates.stored import stored_evidence
from cd4ml.gates.training_rows import count_training
from cd4ml.measures.estimate import wilson
from cd4ml.measures.proportions import ratio_of_shares
from cd4ml.records.finding import Finding
from cd4ml.records.representation_gate import RepresentationGate
from cd4ml.store.blobs import Blobs
from tests.gates.people import selected
from tests.gates.test_stored import kept

HOLDOUT = selected(f=(100, 500), m=(100, 500))


def learned(counts: dict[str, tuple[int, int]], **columns: Any) -> Evidence:
    """Evidence with training rows: of each group so many are positive, of so many."""
    names = [name for name, (_, n) in counts.items() for _ in range(n)]
    outcomes = [int(i < positive) for positive, n in counts.values() for i in range(n)]
    training = pl.DataFrame({"sex": names, "paid": outcomes, **columns})
    return HOLDOUT._replace(gathered={"representation": count_training(training, ("sex",), "paid")})


def gate(**changes: Any) -> RepresentationGate:
    return RepresentationGate(**({"groups": ("sex",)} | changes))


def findings(asked: RepresentationGate, seen: Evidence) -> list[Finding]:
    return [each for each in judge(policy_of((asked,)).gates, seen) if each.is_gated]


def test_a_group_s_share_is_held_against_the_stated_one() -> None:
    asked = gate(share_at_least=0.8, shares={"sex=f": 0.5, "sex=m": 0.5})

    (passed,) = findings(asked, learned({"f": (20, 420), "m": (20, 580)}))
    (failed,) = findings(asked, learned({"f": (20, 200), "m": (20, 800)}))

    assert (passed.value, passed.outcome) == (0.84, "pass")
    share = wilson(200, 1000)
    assert failed == Finding(
        kind="representation",
        gate="training share at least 0.8 of the stated one across sex",
        metric="training share",
        value=0.4,
        low=share.low / 0.5,
        high=share.high / 0.5,
        limit=0.8,
        n_rows=1000,
        outcome="fail",
        reason="sex=f 0.2 of 1,000 rows, expected 0.5",
    )


def test_without_a_stated_share_the_holdout_s_is_expected() -> None:
    (failed,) = findings(gate(share_at_least=0.8), learned({"f": (20, 200), "m": (20, 800)}))

    expected = ratio_of_shares(200, 1000, 500, 1000)
    assert failed.gate == "training share at least 0.8 of the holdout's across sex"
    assert (failed.value, failed.low, failed.high, failed.outcome) == (
        0.4,
        expected.low,
        expected.high,
        "fail",
    )


def test_a_group_that_nobody_learned_from_fails_however_small_it_is() -> None:
    seen = learned({"f": (20, 500), "m": (20, 500)})

    (failed,) = findings(gate(share_at_least=0.8, shares={"sex=x": 0.01}), seen)
    _, *shown = judge((gate(share_at_least=0.8, shares={"sex=x": 0.01}),), seen)

    assert (failed.value, failed.outcome) == (0.0, "fail")
    assert failed.reason == "sex=x 0 of 1,000 rows, expected 0.01"
    assert [(each.slice, each.value, each.limit, each.outcome) for each in shown] == [
        ("sex=f", 0.5, None, "pass"),
        ("sex=m", 0.5, None, "pass"),
        ("sex=x", 0.0, 0.008, "fail"),
    ]
    assert shown[0].reason == "nothing is expected of it"


def test_a_share_that_is_not_sure_passes_by_value_and_not_by_interval() -> None:
    asked = {"share_at_least": 0.8, "shares": {"sex=f": 0.5}}
    seen = learned({"f": (10, 42), "m": (10, 58)})

    assert findings(gate(**asked), seen)[0].outcome == "pass"
    assert findings(gate(**asked, by="interval"), seen)[0].outcome == "inconclusive"


def test_outcomes_of_groups_are_compared_by_ratio_and_difference() -> None:
    seen = learned({"f": (100, 500), "m": (150, 500)})

    ratio, difference = findings(
        gate(label_ratio_at_least=0.8, label_difference_at_most=0.15), seen
    )
    (turned,) = findings(gate(label_ratio_at_least=0.8, favourable=0), seen)

    assert (ratio.gate, ratio.outcome) == ("base_rate ratio at least 0.8 across sex", "fail")
    assert ratio.value == pytest.approx(2 / 3)
    assert ratio.reason == (
        "sex=f 0.2 (500 rows) beside sex=m 0.3 (500 rows)"
        + ("" if ratio.high is not None and ratio.high < 0.8 else "; more rows could change this")
    )
    assert (difference.value, difference.outcome) == (pytest.approx(0.1), "pass")
    assert (turned.value, turned.outcome) == (pytest.approx(0.7 / 0.8), "pass")


def test_outcomes_that_are_not_of_two_kinds_have_no_rate() -> None:
    seen = learned({"f": (1, 50), "m": (1, 50)}, pay=[1.0] * 100)
    prices = pl.DataFrame({"sex": ["f", "m"] * 50, "paid": [9.5] * 100})
    of_prices = {"representation": count_training(prices, ("sex",), "paid")}

    (undefined,) = findings(gate(label_ratio_at_least=0.8), seen._replace(gathered=of_prices))

    assert undefined.outcome == "error"
    assert undefined.reason == (
        "fewer than 2 groups have 30 rows with an outcome of 0 or 1;"
        " no rows with an outcome of 0 or 1, so no base_rate: sex=f and sex=m"
    )


def test_what_is_known_of_one_group_and_not_of_another_is_found() -> None:
    pay = [None] * 30 + [1.0] * 70 + [None] * 5 + [1.0] * 95
    age = [None] * 2 + [40] * 198
    seen = learned({"f": (10, 100), "m": (10, 100)}, pay=pay, age=age)

    (failed,) = findings(gate(missing_difference_at_most=0.1), seen)
    shown = judge((gate(missing_difference_at_most=0.1),), seen)[1:]

    assert failed.gate == "missing difference at most 0.1 across sex"
    assert (failed.value, failed.outcome) == (pytest.approx(0.25), "fail")
    assert failed.reason == "pay: sex=m 0.05 (100 rows) beside sex=f 0.3 (100 rows)"
    assert [(each.gate, each.value, each.outcome) for each in shown] == [
        ("missing pay of sex=f", 0.3, "fail"),
        ("missing pay of sex=m", 0.05, "pass"),
    ]


def test_where_nothing_is_missing_nothing_is_missing_unequally() -> None:
    (passed,) = findings(gate(missing_difference_at_most=0.0), learned({"f": (1, 5), "m": (1, 5)}))

    assert (passed.value, passed.outcome, passed.reason) == (0.0, "pass", "no row lacks a value")


def test_small_groups_leave_outcomes_and_missing_values_undecided() -> None:
    seen = learned({"f": (5, 10), "m": (50, 100), "x": (50, 100)}, pay=[None] * 2 + [1.0] * 208)

    outcomes, missing = findings(
        gate(label_ratio_at_least=0.8, missing_difference_at_most=0.5), seen
    )

    assert (outcomes.outcome, missing.outcome) == ("inconclusive", "inconclusive")
    assert missing.reason.endswith("; fewer than 30 rows: sex=f (10)")


def test_rows_that_were_not_counted_are_errors_with_their_reason() -> None:
    seen = learned({"f": (20, 200), "m": (20, 800)})
    assert seen.holdout is not None

    def reason(asked: RepresentationGate, rows: Evidence) -> str:
        (found,) = findings(asked, rows)
        assert found.outcome == "error"
        return found.reason

    (unknown, known) = findings(gate(groups=("age", "sex"), share_at_least=0.8), seen)
    assert (unknown.gate, unknown.outcome) == ("representation across age", "error")
    assert unknown.reason == "training rows were not counted by 'age', only by sex"
    assert known.outcome == "fail"
    assert reason(gate(share_at_least=0.8), seen._replace(gathered={})) == (
        "no evidence of this kind was gathered"
    )
    alone = seen._replace(holdout=seen.holdout.drop("sex"))
    assert reason(gate(share_at_least=0.8), alone) == (
        "the holdout has no column 'sex', and no shares are stated"
    )
    missing = seen._replace(gathered={}, missing={"representation": "the training rows are gone"})
    assert reason(gate(share_at_least=0.8), missing) == "the training rows are gone"
    ages = pl.DataFrame({"sex": range(60), "paid": [0, 1] * 30})
    many = {"representation": count_training(ages, ("sex",), "paid")}
    assert reason(gate(share_at_least=0.8), seen._replace(gathered=many)) == (
        "sex has more than 50 groups: cut it into bands"
    )


def test_it_is_judged_again_from_what_is_stored(blobs: Blobs) -> None:
    pay = [None] * 50 + [1.0] * 950
    seen = learned({"f": (20, 200), "m": (20, 800)}, pay=pay)
    asked = gate(share_at_least=0.8, label_ratio_at_least=0.8, missing_difference_at_most=0.1)

    verdict = kept(blobs, seen)

    assert judge((asked,), stored_evidence(blobs, verdict)) == judge((asked,), seen)
    assert sorted(verdict.evidence) == ["judged", "representation", "rows"]


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        (
            {},
            "a gate on the training rows of groups needs a limit - at `gate[0]`",
            "share_at_least, label_ratio_at_least, label_difference_at_most or"
            " missing_difference_at_most",
        ),
        (
            {"share_at_least": 1.5},
            "a ratio of the smaller to the larger is above 0 and at most 1, got 1.5"
            " - at `gate[0].share_at_least`",
            "0.8 is the four-fifths rule",
        ),
        (
            {"label_ratio_at_least": 0.8, "shares": {"sex=f": 0.5}},
            "shares are stated, and nothing is asked of them - at `gate[0].shares`",
            "share_at_least = 0.8",
        ),
        (
            {"share_at_least": 0.8, "shares": {"f": 0.5}},
            "'f' is a group of none of ['sex'] - at `gate[0].shares`",
            'written "sex=..."',
        ),
        (
            {"groups": (("sex", "age"),), "share_at_least": 0.8, "shares": {"sex=f": 0.5}},
            "'sex=f' is a group of none of ['sex x age'] - at `gate[0].shares`",
            'written "sex=... & age=..."',
        ),
        (
            {"share_at_least": 0.8, "shares": {"sex=f": 50.0}},
            "a share of people is above 0 and at most 1, got 50 - at `gate[0].shares.sex=f`",
            "0.14 is 14 %",
        ),
        (
            {"share_at_least": 0.8, "shares": {"sex=f": 0.6, "sex=m": 0.6}},
            "the shares by sex are 1.2 together, more than all - at `gate[0].shares`",
            "they are shares of one whole",
        ),
        (
            {"missing_difference_at_most": -0.1},
            "a difference of shares is at least 0 and below 1, got -0.1"
            " - at `gate[0].missing_difference_at_most`",
            "for example 0.1",
        ),
        (
            {"groups": ("",), "share_at_least": 0.8},
            "expected columns that tell people apart - at `gate[0].groups`",
            'groups = ["sex", ["sex", "age_band"]] takes each alone, and both crossed',
        ),
    ],
)
def test_a_gate_that_cannot_be_meant_is_refused_when_it_is_read(
    changes: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        policy_of((gate(**changes),))

    assert str(refused.value) == f"cd4ml.toml: {message}\n  hint: {hint}"


def test_a_value_may_hold_what_separates_columns() -> None:
    asked = gate(groups=("city",), share_at_least=0.8, shares={"city=Portland & Salem": 0.1})
    crossed = gate(
        groups=("city", ("city", "sex")),
        share_at_least=0.8,
        shares={"city=Boston": 0.1, "city=Boston & sex=f": 0.05},
    )

    assert policy_of((asked, crossed)).gates == (asked, crossed)
