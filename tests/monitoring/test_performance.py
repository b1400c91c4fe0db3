import numpy as np
import polars as pl
import pytest

from cd4ml.errors import ConfigurationError
from cd4ml.measures.catalog import MEASURES
from cd4ml.monitoring.performance import Interval, difference, performance
from cd4ml.monitoring.profile import Profile, column_profile
from cd4ml.monitoring.reference import Level, Reference, level_of, reference_of
from cd4ml.records.contract import Contract, Field
from cd4ml.records.finding import Finding

METRICS = ("auc", "brier")
BASE_RATE = 0.25


def answered(seed: int, n: int, *, skill: float, base_rate: float = BASE_RATE) -> pl.DataFrame:
    """Answers that know the truth as well as `skill`: 1 for calibrated, 0 for noise."""
    chance = np.random.default_rng(seed)
    risk = chance.beta(4 * base_rate, 4 * (1 - base_rate), n)
    came_true = (chance.random(n) < risk).astype(float)
    noise = chance.permutation(risk)
    return pl.DataFrame({"score": skill * risk + (1 - skill) * noise, "value": came_true})


def reference(*, skill: float, n: int = 5_000) -> Reference:
    holdout = answered(0, n, skill=skill)
    return Reference(
        model="delay",
        number=1,
        base_rate=BASE_RATE,
        inputs=Profile(n_rows=0, columns=()),
        scores=column_profile(holdout["score"]),
        levels=tuple(
            level_of(metric, holdout["value"], holdout["score"], BASE_RATE) for metric in METRICS
        ),
    )


def by_gate(findings: tuple[Finding, ...]) -> dict[str, str]:
    return {finding.gate: finding.outcome for finding in findings}


def test_a_version_that_kept_its_skill_is_better_than_trivial() -> None:
    findings = performance(answered(4, 5_000, skill=1), reference(skill=1), METRICS)

    outcomes = by_gate(findings)
    assert outcomes["auc better than trivial"] == outcomes["brier better than trivial"] == "pass"
    assert outcomes["auc as at release"] != "fail"
    assert outcomes["brier as at release"] != "fail"


def test_a_version_that_lost_its_skill_fails_on_both_counts() -> None:
    findings = performance(answered(1, 5_000, skill=0), reference(skill=1), METRICS)

    assert by_gate(findings) == {
        "auc better than trivial": "inconclusive",  # it orders like a coin, not worse
        "auc as at release": "fail",
        "brier better than trivial": "fail",
        "brier as at release": "fail",
    }
    worse = findings[2]
    assert worse.limit == pytest.approx(0.1875, abs=0.01)
    assert worse.reason == (
        f"brier {worse.value:.4g} is surely worse than trivial ({worse.limit:.4g})"
    )


def test_the_interval_of_a_finding_decides_it() -> None:
    for skill in (0.0, 0.5, 1.0):
        for finding in performance(answered(1, 900, skill=skill), reference(skill=0.7), METRICS):
            assert None not in (finding.value, finding.low, finding.high, finding.limit)
            low, high, limit = finding.low or 0.0, finding.high or 0.0, finding.limit or 0.0
            assert low < (finding.value or 0.0) < high
            is_beyond = low > limit if finding.metric == "brier" else high < limit
            assert (finding.outcome == "fail") == is_beyond


def test_a_harder_month_is_no_loss_of_skill() -> None:
    harder = answered(3, 5_000, skill=1, base_rate=0.4)
    released = reference(skill=1)

    findings = performance(harder, released, ("brier",))

    assert (findings[0].value or 0.0) > 1.25 * released.levels[1].value
    assert set(by_gate(findings).values()) == {"pass"}


def test_few_labels_leave_it_undecided() -> None:
    findings = performance(answered(1, 40, skill=0), reference(skill=1), ("brier",))

    assert set(by_gate(findings).values()) == {"inconclusive"}


@pytest.mark.parametrize(
    ("labelled", "reason"),
    [
        (pl.DataFrame({"score": [], "value": []}), "rows"),
        (pl.DataFrame({"score": [0.1, 0.2], "value": [1.0, 1.0]}), "2 positive and 0 negative"),
        (pl.DataFrame({"score": [0.1, 0.2], "value": [1.0, 7.0]}), "0 or 1"),
    ],
)
def test_what_cannot_be_measured_is_an_error_and_stops_nothing(
    labelled: pl.DataFrame, reason: str
) -> None:
    findings = performance(labelled, reference(skill=1), ("auc",))

    assert set(by_gate(findings).values()) == {"error"}
    assert reason in findings[0].reason
    assert findings[0].value is None


def test_a_metric_that_was_not_measured_at_release_is_an_error() -> None:
    findings = performance(answered(1, 500, skill=1), reference(skill=1), ("accuracy",))

    assert findings[1].outcome == "error"
    assert findings[1].reason == "it was not measured at release"


def test_an_unknown_metric_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError) as refused:
        performance(answered(1, 9, skill=1), reference(skill=1), ("f7",))

    assert str(refused.value) == (
        "cd4ml.toml: there is no measure 'f7', named in `monitoring.metrics`\n"
        f"  hint: known: {', '.join(sorted(MEASURES))}"
    )


def test_windows_in_which_nothing_is_wrong_rarely_fail() -> None:
    n_failed = sum(
        "fail"
        in by_gate(
            performance(answered(seed, 300, skill=1), release_of(seed + 10_000), METRICS)
        ).values()
        for seed in range(1, 301)
    )

    assert n_failed <= 9  # 1 % promised: 3 expected at most; more than 9 once in 1,000


def release_of(seed: int) -> Reference:
    holdout = answered(seed, 300, skill=1)
    levels = tuple(
        level_of(metric, holdout["value"], holdout["score"], BASE_RATE) for metric in METRICS
    )
    return Reference(
        model="delay",
        number=1,
        base_rate=BASE_RATE,
        inputs=Profile(n_rows=0, columns=()),
        scores=column_profile(holdout["score"]),
        levels=levels,
    )


def test_the_interval_of_a_difference_agrees_with_the_normal_one() -> None:
    a, b = Interval(5.0, 4.0, 6.0), Interval(3.0, 2.0, 4.0)

    assert difference(a, b) == pytest.approx((2.0, 2.0 - 2**0.5, 2.0 + 2**0.5))


def test_a_reference_holds_what_the_version_was_like() -> None:
    holdout = answered(0, 1_000, skill=1).rename({"value": "is_late"})
    training = pl.DataFrame({"temp": [1.0, 2.0, 3.0, 4.0], "is_late": [True, False, False, False]})

    made = reference_of(
        training,
        holdout,
        model="delay",
        number=3,
        contract=Contract(name="delay", fields=(Field("temp", "number"),)),
        target="is_late",
        metrics=METRICS,
    )

    assert (made.model, made.number, made.base_rate) == ("delay", 3, 0.25)
    assert [column.name for column in made.inputs.columns] == ["temp"]
    assert [level.metric for level in made.levels] == ["auc", "brier"]
    assert all(level.gap > 0 and isinstance(level, Level) for level in made.levels)


def test_a_holdout_of_one_class_has_a_brier_score_but_no_auc() -> None:
    rows = pl.DataFrame({"temp": [1.0, 2.0], "score": [0.1, 0.2], "target": [0.0, 0.0]})

    made = reference_of(
        rows,
        rows,
        model="delay",
        number=1,
        contract=Contract(name="delay", fields=(Field("temp", "number"),)),
        target="target",
        metrics=METRICS,
    )

    assert [level.metric for level in made.levels] == ["brier"]
