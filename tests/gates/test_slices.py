"""A limit on every slice: failing beyond chance, undecided, or too small to say."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from cd4ml.errors import ConfigurationError
from cd4ml.gates.evidence import Evidence
from cd4ml.gates.judge import judge
from cd4ml.gates.policy import policy_of
from cd4ml.measures.ranking import auc
from cd4ml.records.finding import Finding
from cd4ml.records.metric_gate import MetricGate
from cd4ml.records.slices_gate import SlicesGate
from tests.gates.builders import evidence

N = 3000
CARRIER = np.where(np.arange(N) < 1200, "UA", np.where(np.arange(N) < 2940, "AA", "HA"))
ORIGIN = np.where(np.arange(N) % 3 == 0, "EWR", "JFK")


def seen(*, spoilt: str = "", **changes: Any) -> Evidence:
    """Evidence on flights of UA (1200 rows), AA (1740) and HA (60); one of them scored backwards."""
    rows = evidence(n=N, **changes)
    score = np.where(spoilt == CARRIER, 1 - rows.score, rows.score)
    holdout = pl.DataFrame({"late": rows.y_true, "carrier": CARRIER, "origin": ORIGIN})
    return rows._replace(score=score, holdout=holdout, target="late", slices={"carrier": CARRIER})


def gated(gate: SlicesGate, evidence_: Evidence) -> list[Finding]:
    return [finding for finding in judge((gate,), evidence_) if finding.is_gated]


def gate(**changes: Any) -> SlicesGate:
    return SlicesGate(**({"metric": "auc", "at_least": 0.6, "columns": ("carrier",)} | changes))


def test_the_worst_slice_stands_for_all_and_passes() -> None:
    (finding,) = gated(gate(), seen())

    assert finding.outcome == "pass"
    assert finding.gate == "auc on the worst of 2 slices at least 0.6"
    assert finding.slice in ("carrier=AA", "carrier=UA")
    of_slice = finding.slice.removeprefix("carrier=") == CARRIER
    assert finding.value == auc(seen().y_true[of_slice], seen().score[of_slice]).value
    assert finding.n_rows == of_slice.sum()


def test_a_slice_that_is_surely_worse_fails() -> None:
    found = judge((gate(),), seen(spoilt="UA"))

    (finding,) = (f for f in found if f.is_gated)
    assert (finding.outcome, finding.slice) == ("fail", "carrier=UA")
    assert finding.reason.startswith("beyond chance (p = ")
    shown = {f.slice: f.outcome for f in found if not f.is_gated and f.gate.endswith("0.6")}
    assert shown == {"carrier=UA": "fail", "carrier=HA": "inconclusive"}


def test_a_value_that_misses_the_limit_by_chance_is_undecided() -> None:
    rows = seen()
    value = min(
        auc(rows.y_true[of], rows.score[of]).value for of in (CARRIER == "UA", CARRIER == "AA")
    )

    (finding,) = gated(gate(at_least=value + 0.005), rows)

    assert finding.outcome == "inconclusive"
    assert finding.reason.startswith("may be chance (p = ")


def test_a_small_slice_is_inconclusive_and_stands_in_the_way_only_where_it_is_named() -> None:
    found = judge((gate(),), seen())
    (of_all,) = (f for f in found if f.is_gated)
    (small,) = (f for f in found if f.slice == "carrier=HA" and f.gate.endswith("0.6"))

    (named,) = gated(gate(columns=(), named=("carrier=HA",)), seen())

    assert (of_all.outcome, small.outcome, small.is_gated) == ("pass", "inconclusive", False)
    assert (named.outcome, named.n_rows) == ("inconclusive", 60)
    assert named.reason == small.reason == "60 rows; fewer than 100 say too little"


def test_a_named_slice_that_is_large_enough_is_a_finding_of_its_own() -> None:
    names = ("carrier=UA", "carrier=UA & origin=EWR")

    found = gated(gate(columns=(), named=names), seen(spoilt="UA"))

    assert [(f.gate, f.slice, f.outcome, f.n_rows) for f in found] == [
        ("auc on carrier=UA at least 0.6", "carrier=UA", "fail", 1200),
        ("auc on carrier=UA & origin=EWR at least 0.6", "carrier=UA & origin=EWR", "fail", 400),
    ]


def test_pairs_of_columns_are_sliced_by_both() -> None:
    rows = seen()
    bad = (CARRIER == "AA") & (ORIGIN == "EWR")
    rows = rows._replace(score=np.where(bad, 1 - rows.score, rows.score))

    (finding,) = gated(gate(columns=(), pairs=(("carrier", "origin"),)), rows)

    assert (finding.outcome, finding.slice) == ("fail", "carrier=AA & origin=EWR")
    assert finding.gate == "auc on the worst of 4 slices at least 0.6"


def test_several_that_fail_are_listed() -> None:
    rows = seen()

    (finding,) = gated(gate(at_least=0.99), rows)

    assert finding.outcome == "fail"
    assert finding.reason.startswith("2 of 2 slices fail beyond chance: carrier=")


def test_worse_than_all_rows_by_a_margin() -> None:
    rows = seen(spoilt="UA")
    level = auc(rows.y_true, rows.score).value

    (finding,) = gated(gate(at_least=None, worse_by=0.05), rows)

    assert finding.limit == level - 0.05
    assert finding.gate == "auc on the worst of 2 slices no worse than all rows by 0.05"
    assert (finding.outcome, finding.slice) == ("fail", "carrier=UA")


def test_without_columns_it_is_those_of_the_model() -> None:
    (finding,) = gated(gate(columns=()), seen())

    assert finding.gate == "auc on the worst of 2 slices at least 0.6"


def test_columns_that_are_not_there_are_an_error() -> None:
    for asked in (gate(columns=("plane",)), gate(columns=(), named=("plane=N1",))):
        (finding,) = gated(asked, seen())

        assert (finding.outcome, finding.reason) == (
            "error",
            "the holdout has no column 'plane' to slice by",
        )


def test_nothing_to_slice_by_is_an_error_and_only_small_slices_are_inconclusive() -> None:
    (none,) = gated(gate(columns=()), seen()._replace(slices={}))
    (small,) = gated(gate(min_rows=2000), seen())

    assert (none.outcome, none.reason) == (
        "error",
        "there are no columns to slice by: name them in `columns`, or in `model.slices`",
    )
    assert (small.outcome, small.reason) == (
        "inconclusive",
        "the largest slice has 1740 rows; fewer than 2000 say too little",
    )


def test_a_slice_of_one_class_or_without_rows_is_an_error_where_it_is_named() -> None:
    rows = seen()
    rows = rows._replace(y_true=np.where(CARRIER == "UA", 0.0, rows.y_true))

    found = gated(gate(columns=(), named=("carrier=UA", "carrier=ZZ")), rows)

    assert [(f.outcome, f.reason) for f in found] == [
        (
            "error",
            "auc compares positive with negative rows, got 0 positive and 1200 negative;"
            " widen the window",
        ),
        ("error", "there are no such rows"),
    ]


def test_a_large_slice_that_cannot_be_measured_lets_nothing_pass() -> None:
    rows = seen()

    (finding,) = gated(gate(), rows._replace(y_true=np.where(CARRIER == "UA", 0.0, rows.y_true)))

    assert (finding.outcome, finding.slice) == ("error", "carrier=UA")
    assert finding.reason.startswith("carrier=UA: auc compares positive with negative rows, got 0")


def test_slices_that_are_too_small_do_not_count_as_tests() -> None:
    """With them as tests that passed, the others would be let off more easily."""
    groups = np.where(np.arange(N) < 200, "bad", np.arange(N).astype(str))
    groups = np.where(np.arange(N) >= 1500, "good", groups)
    rows = seen()._replace(holdout=pl.DataFrame({"group": groups}))
    score = rows.score.copy()
    score[:200] = np.random.default_rng(0).permutation(score[:200])
    level = auc(rows.y_true, rows.score).value

    (finding,) = gated(gate(columns=("group",), at_least=level - 0.1), rows._replace(score=score))

    assert (finding.gate.startswith("auc on the worst of 3 slices"), finding.slice) == (
        True,
        "group=bad",
    )
    assert finding.outcome == "fail"


def test_of_many_equally_good_slices_few_fail_by_chance() -> None:
    n_failed = 0
    for seed in range(25):
        rows = evidence(n=4000, seed=seed)
        groups = np.random.default_rng(seed).integers(0, 20, 4000).astype(str)
        level = auc(rows.y_true, rows.score).value
        asked = gate(at_least=level, columns=("group",))
        (finding,) = gated(asked, rows._replace(holdout=pl.DataFrame({"group": groups})))
        n_failed += finding.outcome == "fail"

    assert n_failed <= 4  # without a correction 20 slices at 5 % fail in 16 of 25 cases


class TestTheWeakestSlices:
    GATE = MetricGate(metric="auc", at_least=0.5)

    def test_they_are_shown_though_nobody_asked(self) -> None:
        rows = seen()
        bad = (CARRIER == "AA") & (ORIGIN == "EWR")

        found = judge((self.GATE,), rows._replace(score=np.where(bad, 1 - rows.score, rows.score)))

        shown = [f for f in found if f.gate == "auc on a weak slice"]
        assert shown[0].slice == "carrier=AA & origin=EWR"
        assert {(f.is_gated, f.outcome) for f in shown} == {(False, "fail")}
        assert shown[0].reason.endswith(" against all rows; found among 8 slices")

    def test_none_is_shown_where_none_is_worse_beyond_chance(self) -> None:
        assert [f for f in judge((self.GATE,), seen()) if f.gate == "auc on a weak slice"] == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"at_least": None},
            "a gate on slices sets one limit, got 0 - at `gate[0]`\n"
            "  hint: at_least, at_most, or worse_by (than all rows)",
        ),
        (
            {"worse_by": 0.1},
            "a gate on slices sets one limit, got 2 - at `gate[0]`\n"
            "  hint: at_least, at_most, or worse_by (than all rows)",
        ),
        (
            {"at_least": None, "worse_by": 0.0},
            "how much worse a slice may be is above 0, got 0 - at `gate[0].worse_by`\n"
            "  hint: for example 0.05, in the metric's unit",
        ),
        (
            {"at_least": None, "worse_by": 1.0},
            "nothing is worse by 1 in auc, so this asks nothing - at `gate[0].worse_by`\n"
            "  hint: for example 0.05",
        ),
        (
            {"metric": "mae"},
            "mae is better the lower it is, so it cannot be asked to be at least a value"
            " - at `gate[0].at_least`\n  hint: at_most = 0.6",
        ),
        (
            {"min_rows": 1},
            "a slice needs 2 rows or more to be judged, got 1 - at `gate[0].min_rows`\n"
            "  hint: 100 is a usual one",
        ),
        (
            {"false_discoveries": 0.0},
            "a share of chance findings is between 0 and 0.5, got 0"
            " - at `gate[0].false_discoveries`\n  hint: 0.05 is a usual one",
        ),
        (
            {"pairs": (("carrier", "carrier"),)},
            "a pair is of two columns, got ['carrier', 'carrier'] - at `gate[0].pairs`\n"
            '  hint: [["carrier", "origin"]]',
        ),
        (
            {"named": ("UA",)},
            "expected column=value in a slice's name, got 'UA' - at `gate[0].named`\n"
            '  hint: "carrier=UA & origin=EWR"',
        ),
        (
            {"columns": ("a", "a")},
            "something stands twice in ['a', 'a'] - at `gate[0].columns`",
        ),
        (
            {"threshold": 0.3},
            "auc does not depend on a threshold - at `gate[0].threshold`\n"
            "  hint: those that do: accuracy, recall, precision, false_positive_rate, f1",
        ),
    ],
)
def test_what_nobody_can_mean_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        policy_of((gate(**changes),))

    assert str(caught.value) == f"cd4ml.toml: {message}"
