"""Each gate becomes a finding with its interval and its reason; what was not measured never passes."""

from collections.abc import Iterator

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import ArrayLike

from cd4ml.gates.evidence import Evidence
from cd4ml.gates.judge import judge
from cd4ml.measures import catalog
from cd4ml.measures.estimate import Estimate
from cd4ml.measures.ranking import auc
from cd4ml.measures.scoring import brier, brier_difference
from cd4ml.records.finding import Finding, Outcome
from cd4ml.records.metric_gate import MetricGate
from tests.gates.builders import evidence

EVERY_LIMIT = (
    MetricGate(
        metric="auc", at_least=0.58, better_than="trivial", no_worse_than={"champion": 0.005}
    ),
    MetricGate(
        metric="brier", at_most=0.2, better_than="trivial", no_worse_than={"champion": 0.005}
    ),
    MetricGate(metric="accuracy", at_least=0.1, no_worse_than={"champion": 0.005}),
)


def only(gate: MetricGate, seen: Evidence) -> Finding:
    (finding,) = (finding for finding in judge((gate,), seen) if finding.is_gated)
    return finding


class TestFloorsAndCeilings:
    def test_a_value_at_least_as_good_as_its_floor_passes_with_its_interval(self) -> None:
        seen = evidence()

        finding = only(MetricGate(metric="auc", at_least=0.58), seen)

        expected = auc(seen.y_true, seen.score)
        assert finding == Finding(
            gate="auc at least 0.58",
            metric="auc",
            value=expected.value,
            low=expected.low,
            high=expected.high,
            limit=0.58,
            n_rows=2000,
            outcome="pass",
        )

    def test_a_value_below_its_floor_fails(self) -> None:
        finding = only(MetricGate(metric="auc", at_least=0.95), evidence())

        assert (finding.outcome, finding.reason) == ("fail", "")

    def test_a_value_above_its_ceiling_fails(self) -> None:
        assert only(MetricGate(metric="brier", at_most=0.05), evidence()).outcome == "fail"

    def test_a_pass_whose_interval_reaches_beyond_the_limit_says_so(self) -> None:
        seen = evidence()
        value = auc(seen.y_true, seen.score).value

        finding = only(MetricGate(metric="auc", at_least=value - 0.001), seen)

        assert finding.outcome == "pass"
        assert finding.reason == "the value passes, but its interval reaches beyond the limit"

    def test_a_failure_whose_interval_reaches_the_limit_says_so(self) -> None:
        seen = evidence()
        value = brier(seen.y_true, seen.score).value

        finding = only(MetricGate(metric="brier", at_most=value - 0.001), seen)

        assert (finding.outcome, finding.reason) == ("fail", "more rows could change this")

    def test_the_limit_itself_is_good_enough(self) -> None:
        seen = evidence()
        value = auc(seen.y_true, seen.score).value

        assert only(MetricGate(metric="auc", at_least=value), seen).outcome == "pass"


class TestBetterThanTrivial:
    def test_a_model_that_knows_something_is_better(self) -> None:
        seen = evidence()

        finding = only(MetricGate(metric="brier", better_than="trivial"), seen)

        constant = np.full(seen.y_true.shape, seen.base_rate)
        difference = brier_difference(seen.y_true, seen.score, constant)
        assert finding.outcome == "pass"
        assert finding.value == pytest.approx(brier(seen.y_true, seen.score).value)
        assert finding.limit == pytest.approx(brier(seen.y_true, constant).value)
        assert finding.limit is not None
        assert finding.high == pytest.approx(finding.limit + difference.high)

    def test_a_model_that_knows_nothing_is_undecided(self) -> None:
        finding = only(MetricGate(metric="auc", better_than="trivial"), evidence(skill=0.0))

        assert finding.outcome == "inconclusive"
        assert (
            finding.reason == "the interval lies on both sides of the limit: more rows are needed"
        )

    def test_a_model_that_has_it_backwards_fails(self) -> None:
        finding = only(MetricGate(metric="auc", better_than="trivial"), evidence(skill=-1.0))

        assert finding.outcome == "fail"

    def test_answering_the_base_rate_is_not_better_than_answering_the_base_rate(self) -> None:
        seen = evidence()
        constant = seen._replace(score=np.full(seen.y_true.shape, seen.base_rate))

        found = judge((MetricGate(metric="brier", better_than="trivial"),), constant)

        assert [finding.outcome for finding in found] == ["fail"]


class TestNoWorseThan:
    gate = MetricGate(metric="auc", no_worse_than={"champion": 0.005})

    def test_without_a_champion_it_passes_and_says_why(self) -> None:
        finding = only(self.gate, evidence())

        assert (finding.outcome, finding.reason, finding.limit) == ("pass", "no champion yet", None)
        assert finding.value is not None

    def test_a_better_candidate_passes_with_the_difference(self) -> None:
        seen = evidence(champion_skill=0.02)

        finding = only(self.gate, seen)

        champion = auc(seen.y_true, seen.others["delay/1"]).value
        assert finding.outcome == "pass"
        assert finding.value == pytest.approx(auc(seen.y_true, seen.score).value)
        assert finding.limit == pytest.approx(champion - 0.005)
        assert finding.value is not None
        assert finding.reason.startswith(f"{finding.value - champion:+.4g} (")
        assert finding.reason.endswith(") against delay/1")

    def test_a_worse_candidate_fails(self) -> None:
        finding = only(self.gate, evidence(skill=0.02, champion_skill=1.0))

        assert finding.outcome == "fail"
        assert finding.low is not None
        assert finding.high is not None
        assert finding.limit is not None
        assert finding.high < finding.limit

    def test_a_difference_across_the_margin_is_undecided(self) -> None:
        finding = only(self.gate, evidence(n=150, skill=0.05, champion_skill=0.05))

        assert finding.outcome == "inconclusive"
        assert "against delay/1; the interval lies on both sides" in finding.reason

    def test_the_very_same_model_passes(self) -> None:
        seen = evidence()

        finding = only(self.gate, seen._replace(champion="delay/1", others={"delay/1": seen.score}))

        assert finding.outcome == "pass"

    def test_lower_is_better_is_compared_the_other_way_round(self) -> None:
        gate = MetricGate(metric="brier", no_worse_than={"champion": 0.001})

        better = only(gate, evidence(champion_skill=0.0))
        worse = only(gate, evidence(skill=0.0, champion_skill=1.0))

        assert (better.outcome, worse.outcome) == ("pass", "fail")

    def test_a_named_version_is_compared_with_on_the_same_rows(self) -> None:
        seen = evidence(champion_skill=0.02)
        gate = MetricGate(metric="auc", no_worse_than={"delay/1": 0.005})

        finding = only(gate, seen._replace(champion=""))

        assert (finding.gate, finding.outcome) == ("auc no worse than delay/1 by 0.005", "pass")

    def test_a_version_without_scores_is_an_error(self) -> None:
        gate = MetricGate(metric="auc", no_worse_than={"delay/7": 0.005})

        finding = only(gate, evidence())

        assert finding.outcome == "error"
        assert finding.reason == "delay/7 has not been scored on these rows"

    def test_a_champion_without_scores_is_an_error_not_no_champion(self) -> None:
        finding = only(self.gate, evidence(champion="delay/2"))

        assert finding.outcome == "error"
        assert finding.reason == "delay/2 has not been scored on these rows"


class TestBesideTheChampion:
    gate = MetricGate(metric="auc", at_least=0.5)

    def test_the_champion_on_the_same_rows_is_shown_and_decides_nothing(self) -> None:
        seen = evidence(champion_skill=1.0)

        (shown,) = (finding for finding in judge((self.gate,), seen) if not finding.is_gated)

        champion = auc(seen.y_true, seen.others["delay/1"]).value
        assert shown.gate == "auc beside delay/1"
        assert shown.limit == pytest.approx(champion)
        assert shown.value == pytest.approx(auc(seen.y_true, seen.score).value)

    def test_without_a_champion_nothing_is_shown(self) -> None:
        assert all(finding.is_gated for finding in judge((self.gate,), evidence()))


class TestWhatCannotBeMeasured:
    def outcomes(self, seen: Evidence) -> set[tuple[Outcome, str]]:
        found = judge(EVERY_LIMIT, seen)
        assert len(found) == 8
        assert all(finding.value is None and finding.is_gated for finding in found)
        return {(finding.outcome, finding.reason) for finding in found}

    def test_no_rows_are_an_error(self) -> None:
        seen = Evidence(y_true=np.array([]), score=np.array([]), base_rate=0.5)

        assert self.outcomes(seen) == {("error", "the holdout has no rows")}

    def test_a_score_that_is_nan_is_an_error(self) -> None:
        seen = evidence()
        seen.score[7] = np.nan

        assert self.outcomes(seen) == {
            ("error", "1 of 2000 scores are missing or no finite numbers")
        }

    def test_a_missing_target_is_an_error(self) -> None:
        seen = evidence()
        seen.y_true[:3] = np.nan

        assert self.outcomes(seen) == {
            ("error", "3 of 2000 targets are missing or no finite numbers")
        }

    def test_one_class_alone_is_an_error(self) -> None:
        seen = evidence(y_true=np.zeros(2000))

        assert self.outcomes(seen) == {
            ("error", "all 2000 rows have the target 0: nothing to tell apart")
        }

    def test_scores_of_other_rows_are_an_error(self) -> None:
        seen = evidence(score=np.zeros(1999))

        assert self.outcomes(seen) == {("error", "the holdout has 2000 rows and 1999 scores")}

    def test_scores_that_are_no_probabilities_are_an_error_where_it_matters(self) -> None:
        seen = evidence(champion_skill=1.0)._replace(slices={"carrier": np.array(["HA"] * 2000)})
        doubled = seen._replace(score=2 * seen.score)

        found = judge((MetricGate(metric="brier", at_most=0.2),), doubled)

        assert [(finding.gate, finding.outcome) for finding in found if not finding.slice] == [
            ("brier at most 0.2", "error"),
            ("brier beside delay/1", "error"),
        ]
        assert [finding.outcome for finding in found if finding.slice] == ["error"]
        assert found[0].reason.startswith("a probability is between 0 and 1, got ")

    @pytest.fixture
    def measures(self) -> Iterator[dict[str, catalog.Measure]]:
        before = dict(catalog.MEASURES)
        yield catalog.MEASURES
        catalog.MEASURES.clear()
        catalog.MEASURES.update(before)

    def test_a_measure_that_raises_is_an_error(self, measures: dict[str, catalog.Measure]) -> None:
        def broken(_y_true: ArrayLike, _score: ArrayLike) -> Estimate:
            raise ZeroDivisionError("division by zero")

        measures["broken"] = msgspec.structs.replace(
            measures["auc"], name="broken", function=broken, difference=None
        )
        gate = MetricGate(metric="broken", at_least=0.5, better_than="trivial")

        found = judge((gate,), evidence(slices={"carrier": np.array(["HA"] * 2000)}))

        assert [(finding.outcome, finding.reason) for finding in found] == [
            ("error", "ZeroDivisionError: division by zero"),
            ("error", "broken cannot be compared on the same rows"),
            ("error", "division by zero"),
        ]

    def test_a_measure_that_gives_nan_is_an_error(
        self, measures: dict[str, catalog.Measure]
    ) -> None:
        nan = float("nan")
        measures["nan"] = msgspec.structs.replace(
            measures["auc"],
            name="nan",
            function=lambda y, _s: Estimate(nan, nan, nan, len(np.asarray(y))),
        )

        finding = only(MetricGate(metric="nan", at_least=0.5), evidence())

        assert (finding.outcome, finding.reason) == ("error", "the measure gave nan (nan to nan)")


class TestSlices:
    def test_each_gated_measure_is_shown_on_each_slice_and_decides_nothing(self) -> None:
        groups = np.array(["UA"] * 1200 + ["HA"] * 770 + ["OO"] * 30)

        found = judge(
            (MetricGate(metric="auc", at_least=0.58),), evidence(slices={"carrier": groups})
        )

        shown = {finding.slice: finding for finding in found if finding.slice}
        assert list(shown) == ["carrier=HA", "carrier=OO", "carrier=UA"]
        assert not any(finding.is_gated for finding in shown.values())
        assert shown["carrier=UA"].outcome == "pass"
        assert shown["carrier=UA"].limit == 0.58
        assert shown["carrier=UA"].low is not None

    def test_a_small_slice_shows_its_value_and_is_inconclusive(self) -> None:
        groups = np.array(["UA"] * 1970 + ["OO"] * 30)

        found = judge(
            (MetricGate(metric="auc", at_least=0.58),), evidence(slices={"carrier": groups})
        )

        (small,) = (finding for finding in found if finding.slice == "carrier=OO")
        assert (small.n_rows, small.outcome) == (30, "inconclusive")
        assert small.reason == "30 rows; fewer than 100 say too little"
        assert small.value is not None

    def test_a_slice_of_one_class_is_an_error_that_decides_nothing(self) -> None:
        seen = evidence()
        groups = np.where(seen.y_true == 1, "late", "on time")

        found = judge(
            (MetricGate(metric="auc", at_least=0.58),), seen._replace(slices={"end": groups})
        )

        assert [(f.slice, f.outcome, f.is_gated) for f in found] == [
            ("", "pass", True),
            ("end=late", "error", False),
            ("end=on time", "error", False),
        ]

    def test_a_slice_where_the_model_is_surely_bad_says_fail(self) -> None:
        seen = evidence()
        half = np.arange(2000) < 1000
        score = np.where(half, seen.score, 1 - seen.score)
        groups = np.where(half, "a", "b")

        found = judge(
            (MetricGate(metric="auc", at_least=0.4),),
            seen._replace(score=score, slices={"g": groups}),
        )

        assert [(f.slice, f.outcome) for f in found][1:] == [("g=a", "pass"), ("g=b", "fail")]

    def test_without_a_floor_a_slice_is_held_against_the_trivial_level(self) -> None:
        seen = evidence(slices={"g": np.array(["a"] * 2000)})

        found = judge((MetricGate(metric="brier", better_than="trivial"),), seen)

        constant = np.full(2000, seen.base_rate)
        assert found[1].limit == pytest.approx(brier(seen.y_true, constant).value)
        assert found[1].outcome == "pass"

    def test_a_measure_with_several_gates_is_shown_once_a_slice(self) -> None:
        gates = (
            MetricGate(metric="auc", better_than="trivial"),
            MetricGate(metric="auc", at_least=0.6),
        )

        found = judge(gates, evidence(slices={"g": np.array(["a"] * 2000)}))

        assert [(finding.gate, finding.limit) for finding in found if finding.slice] == [
            ("auc on g=a", 0.6)
        ]


def test_an_interval_ends_where_the_measure_does() -> None:
    y_true = np.repeat([0.0, 1.0], 60)
    nearly_right = np.concatenate([np.linspace(0.0, 0.51, 60), np.linspace(0.5, 1.0, 60)])
    policy = (
        MetricGate(metric="auc", better_than="trivial"),
        MetricGate(metric="brier", better_than="trivial"),
    )

    auc, brier = judge(policy, evidence(y_true=y_true, score=nearly_right, base_rate=0.5))

    assert auc.high == 1.0
    assert auc.value is not None
    assert auc.value < 1.0
    assert brier.low is not None
    assert brier.low >= 0.0


scores = st.floats(-2, 2) | st.just(float("nan")) | st.just(float("inf"))


@settings(max_examples=60, deadline=None)
@given(
    y_true=hnp.arrays(
        np.float64, st.integers(0, 12), elements=st.sampled_from([0.0, 1.0, float("nan")])
    ),
    data=st.data(),
)
def test_whatever_the_rows_a_judge_answers_and_passes_only_what_it_measured(
    y_true: np.ndarray, data: st.DataObject
) -> None:
    score = data.draw(hnp.arrays(np.float64, y_true.shape, elements=scores))
    other = data.draw(hnp.arrays(np.float64, y_true.shape, elements=scores))
    groups = np.array(["a", "b"] * len(y_true))[: len(y_true)]
    seen = Evidence(y_true, score, 0.3, "delay/1", {"delay/1": other}, {"g": groups})

    found = judge(EVERY_LIMIT, seen)

    assert sum(finding.is_gated for finding in found) == 8
    for finding in found:
        assert (finding.outcome == "error") == (finding.value is None)
        assert finding.reason or finding.outcome in ("pass", "fail")
        if finding.outcome == "pass":
            assert np.isfinite(score).all()
            assert finding.value is not None
            assert np.isfinite(finding.value)
