import numpy as np
import polars as pl
import pytest

from cd4ml.monitoring.drift import input_drift, prediction_drift
from cd4ml.monitoring.profile import column_profile, profile


def table(seed: int, n: int, *, warmer: float = 0.0) -> pl.DataFrame:
    chance = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "temp": chance.normal(warmer, 1, n),
            "price": chance.lognormal(0, 1, n),
            "carrier": chance.choice(["UA", "HA", "AA"], n),
        }
    )


def test_a_column_that_moved_fails_and_the_others_pass() -> None:
    findings = input_drift(profile(table(0, 20_000)), table(1, 3_000, warmer=1.0), limit=0.2)

    outcomes = {finding.slice: finding.outcome for finding in findings}
    assert outcomes == {"temp": "fail", "price": "pass", "carrier": "pass"}
    temp = findings[0]
    assert temp.value is not None
    assert temp.value > 0.5
    assert (temp.gate, temp.metric, temp.limit, temp.n_rows) == (
        "psi at most 0.2",
        "psi",
        0.2,
        3_000,
    )
    assert temp.reason == (
        f"temp moved by {temp.value:.3g} (by chance about 0.0034), more than 0.2"
    )


def test_a_price_rise_shows_although_the_column_is_skewed() -> None:
    dearer = table(1, 3_000).with_columns(pl.col("price") * 2)

    findings = input_drift(profile(table(0, 20_000)), dearer, limit=0.2)

    assert [finding.outcome for finding in findings] == ["pass", "fail", "pass"]


def test_small_windows_without_a_change_raise_an_alarm_once_in_a_hundred() -> None:
    reference = profile(table(0, 20_000))

    # An effect this small leaves the decision to the noise floor alone.
    alarms = [
        any(f.outcome == "fail" for f in input_drift(reference, table(seed, 400), limit=0.001))
        for seed in range(1, 601)
    ]

    assert sum(alarms) <= 15  # 6 expected of 600; more than 15 with a chance of 1 in 2,000


def test_too_few_rows_are_no_finding_of_either_kind() -> None:
    findings = input_drift(profile(table(0, 20_000)), table(1, 15), limit=0.2)

    assert {finding.outcome for finding in findings} == {"inconclusive"}
    assert findings[0].reason == "temp: too few rows to tell a change from chance"


def test_no_rows_are_an_error() -> None:
    findings = input_drift(profile(table(0, 1_000)), table(1, 0), limit=0.2)

    assert [(finding.outcome, finding.value) for finding in findings] == [("error", None)] * 3


@pytest.mark.parametrize(("shift", "outcome"), [(0.0, "pass"), (0.3, "fail")])
def test_answers_drift_too(shift: float, outcome: str) -> None:
    chance = np.random.default_rng(0)
    reference = column_profile(pl.Series("score", chance.beta(2, 5, 10_000)))

    finding = prediction_drift(
        reference, pl.Series("score", chance.beta(2, 5, 3_000) + shift), limit=0.2
    )

    assert (finding.outcome, finding.metric, finding.slice) == (outcome, "prediction_psi", "")
    assert finding.reason.startswith("answers moved by ")
