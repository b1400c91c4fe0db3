"""What a gate on a metric can ask beyond a floor: intervals, thresholds, amounts, baselines."""

import numpy as np
import polars as pl
import pytest

from cd4ml.gates.evidence import Evidence
from cd4ml.gates.judge import judge
from cd4ml.measures.bootstrap import bootstrap
from cd4ml.measures.ranking import auc
from cd4ml.records.finding import Finding
from cd4ml.records.metric_gate import MetricGate
from tests.gates.builders import amounts, evidence


def only(gate: MetricGate, seen: Evidence) -> Finding:
    (finding,) = (finding for finding in judge((gate,), seen) if finding.is_gated)
    return finding


class TestByInterval:
    def test_the_whole_interval_has_to_keep_the_limit(self) -> None:
        seen = evidence()
        low = auc(seen.y_true, seen.score).low

        at_its_low_end = only(MetricGate(metric="auc", at_least=low, by="interval"), seen)
        above = only(MetricGate(metric="auc", at_least=low + 1e-6, by="interval"), seen)

        assert at_its_low_end.outcome == "pass"
        assert (above.outcome, above.reason) == (
            "inconclusive",
            "the interval lies on both sides of the limit: more rows are needed",
        )
        assert above.gate == f"auc at least {low + 1e-6:g} by interval"

    def test_a_ceiling_asks_for_the_upper_end(self) -> None:
        gate = MetricGate(metric="brier", at_most=0.2, by="interval")
        seen = evidence()

        finding = only(gate, seen)

        assert finding.high is not None
        assert (finding.outcome, finding.high < 0.2) == ("pass", True)
        assert only(
            MetricGate(metric="brier", at_most=finding.high - 1e-9, by="interval"), seen
        ) == (
            Finding(
                gate=f"brier at most {finding.high - 1e-9:g} by interval",
                metric="brier",
                value=finding.value,
                low=finding.low,
                high=finding.high,
                limit=finding.high - 1e-9,
                n_rows=2000,
                outcome="inconclusive",
                reason="the interval lies on both sides of the limit: more rows are needed",
            )
        )

    def test_an_interval_that_misses_it_for_sure_fails(self) -> None:
        finding = only(MetricGate(metric="auc", at_least=0.95, by="interval"), evidence())

        assert (finding.outcome, finding.reason) == ("fail", "")


class TestThreshold:
    def test_an_answer_counts_from_the_threshold_on(self) -> None:
        seen = evidence()

        half = only(MetricGate(metric="recall", at_least=0.1), seen)
        early = only(MetricGate(metric="recall", at_least=0.1, threshold=0.2), seen)

        found = (seen.score >= 0.2) & (seen.y_true == 1)
        assert early.value == pytest.approx(found.sum() / (seen.y_true == 1).sum())
        assert early.value is not None
        assert half.value is not None
        assert early.value > half.value
        assert early.gate == "recall at 0.2 at least 0.1"


class TestBootstrap:
    def test_it_gives_another_interval_around_the_same_value(self) -> None:
        seen = evidence(n=300)
        gate = MetricGate(metric="auc", at_least=0.5, interval="bootstrap")

        finding = only(gate, seen)

        drawn = bootstrap(lambda y, s: auc(y, s).value, seen.y_true, seen.score)
        assert (finding.value, finding.low, finding.high) == (drawn.value, drawn.low, drawn.high)

    def test_rows_that_belong_together_are_drawn_together(self) -> None:
        day = np.repeat(np.arange(15), 20)
        off = np.random.default_rng(0).normal(0, 3, 15)[day]
        seen = amounts(n=300, off=0.1)
        seen = seen._replace(score=seen.score + off, holdout=pl.DataFrame({"day": day}))
        alone = MetricGate(metric="mae", at_most=9.0, interval="bootstrap")
        together = MetricGate(metric="mae", at_most=9.0, interval="bootstrap", together="day")

        narrow, wide = only(alone, seen), only(together, seen)

        widths = [
            f.high - f.low for f in (narrow, wide) if f.high is not None and f.low is not None
        ]
        assert widths[1] > 2 * widths[0]

    def test_a_column_that_is_not_there_is_an_error(self) -> None:
        gate = MetricGate(metric="mae", at_most=9.0, interval="bootstrap", together="day")

        finding = only(gate, amounts())

        assert (finding.outcome, finding.reason) == (
            "error",
            "the holdout has no column 'day' whose rows belong together",
        )


class TestAmounts:
    def test_an_error_in_the_unit_of_the_target_has_a_ceiling(self) -> None:
        assert only(MetricGate(metric="mae", at_most=4.0), amounts()).outcome == "pass"
        assert only(MetricGate(metric="rmse", at_most=3.0), amounts()).outcome == "fail"
        assert only(MetricGate(metric="r2", at_least=0.7), amounts()).outcome == "pass"

    @pytest.mark.parametrize("metric", ["mae", "rmse", "mape", "r2", "median_absolute_error"])
    def test_the_trivial_model_is_beaten_by_one_that_knows_something_only(
        self, metric: str
    ) -> None:
        gate = MetricGate(metric=metric, better_than="trivial")
        knows = amounts()
        guesses = knows._replace(score=np.random.default_rng(1).permutation(knows.y_true))

        assert only(gate, knows).outcome == "pass"
        assert only(gate, guesses).outcome == "fail"

    def test_the_trivial_answer_is_the_median_where_errors_are_absolute(self) -> None:
        seen = amounts()._replace(base_rate=80.0, middle=50.0)

        by_mae = only(MetricGate(metric="mae", better_than="trivial"), seen)
        by_rmse = only(MetricGate(metric="rmse", better_than="trivial"), seen)

        assert by_mae.limit == pytest.approx(np.abs(seen.y_true - 50).mean())
        assert by_rmse.limit == pytest.approx(np.sqrt(np.square(seen.y_true - 80).mean()))

    def test_targets_that_are_all_the_same_still_have_errors_but_no_variance(self) -> None:
        flat = amounts()._replace(y_true=np.full(400, 50.0))

        assert only(MetricGate(metric="mae", at_most=20.0), flat).outcome == "pass"
        finding = only(MetricGate(metric="r2", at_least=0.1), flat)
        assert (finding.outcome, finding.reason) == (
            "error",
            "all 400 rows have the target 50: no variance to explain",
        )

    def test_a_measure_of_classes_on_amounts_is_an_error(self) -> None:
        finding = only(MetricGate(metric="auc", at_least=0.5), amounts())

        assert finding.outcome == "error"
        assert finding.reason.startswith("a label is 0 or 1, got ")


class TestBaselines:
    def test_better_than_the_champion_asks_for_more_than_no_worse(self) -> None:
        gate = MetricGate(metric="auc", better_than="champion")

        better = only(gate, evidence(champion_skill=0.1))
        same = only(gate, evidence(champion_skill=1.0))
        worse = only(gate, evidence(skill=0.0, champion_skill=1.0))

        assert [f.outcome for f in (better, same, worse)] == ["pass", "fail", "fail"]
        assert better.reason.endswith(" against delay/1")

    def test_without_a_champion_there_is_nothing_to_be_better_than(self) -> None:
        finding = only(MetricGate(metric="auc", better_than="champion"), evidence())

        assert (finding.outcome, finding.reason) == ("pass", "no champion yet")

    def test_a_season_is_compared_on_the_same_rows(self) -> None:
        seen = evidence(champion_skill=0.3)
        seasonal = seen._replace(champion="", others={"last-week": seen.others["delay/1"]})
        gate = MetricGate(
            metric="brier", better_than="last-week", no_worse_than={"last-week": 0.001}
        )

        found = [f for f in judge((gate,), seasonal) if f.is_gated]

        assert [(f.gate, f.outcome) for f in found] == [
            ("brier better than last-week", "pass"),
            ("brier no worse than last-week by 0.001", "pass"),
        ]

    def test_a_season_that_said_nothing_is_an_error_with_its_reason(self) -> None:
        seen = evidence()._replace(missing={"last-year": "no training row lies one year before"})

        finding = only(MetricGate(metric="auc", better_than="last-year"), seen)

        assert (finding.outcome, finding.reason) == (
            "error",
            "no training row lies one year before",
        )

    def test_a_margin_to_the_trivial_model_can_be_stated(self) -> None:
        gate = MetricGate(metric="brier", no_worse_than={"trivial": 0.01})

        assert only(gate, evidence(skill=0.0)).outcome == "pass"
        assert only(gate, evidence(skill=-1.0)).outcome == "fail"
