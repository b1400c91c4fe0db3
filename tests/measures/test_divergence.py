from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial.distance import jensenshannon

from cd4ml.measures.divergence import (
    benjamini_hochberg,
    chi_square,
    jensen_shannon,
    kolmogorov_smirnov,
    stability_index,
)
from cd4ml.measures.estimate import UndefinedMeasure
from cd4ml.measures.histogram import edges, histogram
from tests.measures.messages import exactly

Histogram = NDArray[np.int64]
histograms = arrays(np.int64, 6, elements=st.integers(0, 1000)).filter(lambda counts: counts.any())


def equal_bins(n: int, *, bins: int, rng: np.random.Generator) -> Histogram:
    return rng.multinomial(n, np.full(bins, 1 / bins))


def shifted_normal(n: int, *, by: float, cuts: NDArray[np.float64], seed: int) -> Histogram:
    return histogram(np.random.default_rng(seed).normal(by, 1, n), cuts)[:-1]


@given(histograms, histograms)
def test_jensen_shannon_is_scipys_symmetric_and_bounded(p: Histogram, q: Histogram) -> None:
    there, back = jensen_shannon(p, q), jensen_shannon(q, p)

    assert there == pytest.approx(back)
    assert 0.0 <= there <= 1.0
    assert there == pytest.approx(jensenshannon(p, q, base=2) ** 2, abs=1e-7)


def test_windows_with_nothing_in_common_are_one_bit_apart() -> None:
    assert jensen_shannon([10, 0], [0, 3]) == 1.0
    assert kolmogorov_smirnov([10, 0], [0, 3]) == 1.0


@given(histograms, histograms)
def test_kolmogorov_smirnov_is_a_distance_of_the_raw_rows(p: Histogram, q: Histogram) -> None:
    raw = stats.ks_2samp(np.repeat(np.arange(6), p), np.repeat(np.arange(6), q))

    assert kolmogorov_smirnov(p, q) == pytest.approx(raw.statistic)
    assert kolmogorov_smirnov(p, q) == pytest.approx(kolmogorov_smirnov(q, p))


@given(histograms, histograms)
def test_chi_square_is_scipys_test_of_a_table(p: Histogram, q: Histogram) -> None:
    filled = (p + q) > 0
    oracle = stats.chi2_contingency(np.stack([p[filled], q[filled]]), correction=False)

    test = chi_square(p, q)

    assert test.statistic == pytest.approx(oracle.statistic)
    assert test.degrees == oracle.dof
    assert test.p_value == pytest.approx(oracle.pvalue, abs=1e-12)


def test_chi_square_treats_the_reference_as_a_sample_too() -> None:
    rng = np.random.default_rng(0)
    pairs = [[equal_bins(5000, bins=5, rng=rng) for _ in range(2)] for _ in range(2000)]

    alarms = [chi_square(reference, current).p_value < 0.05 for reference, current in pairs]

    # A one-sample test against the reference would raise 31 %.
    assert np.mean(alarms) == pytest.approx(0.05, abs=0.015)


@given(histograms, histograms, st.integers(2, 9))
def test_the_stability_index_is_symmetric_and_not_negative(
    p: Histogram, q: Histogram, times: int
) -> None:
    there, back = stability_index(p, q), stability_index(q, p)

    assert there.value == pytest.approx(back.value)
    assert there.outcome == back.outcome
    assert there.value >= -1e-12
    assert stability_index(p, p * times).value == pytest.approx(0, abs=1e-9)


def test_without_empty_bins_the_index_is_the_textbook_sum() -> None:
    p, q = np.array([0.2, 0.3, 0.5]), np.array([0.3, 0.3, 0.4])

    index = stability_index(p * 1000, q * 500)

    assert index.value == pytest.approx(((q - p) * np.log(q / p)).sum())
    assert index.bins == 3
    assert index.corrected == pytest.approx(index.value - 2 * (1 / 1000 + 1 / 500))
    assert index.noise_floor == pytest.approx(stats.chi2.ppf(0.999, 2) * (1 / 1000 + 1 / 500))
    assert index.threshold == 0.2


@pytest.mark.parametrize(
    ("n", "m", "bins"), [(100_000, 500, 10), (2000, 1000, 10), (9000, 900, 40)]
)
def test_unchanged_windows_follow_the_null_law(n: int, m: int, bins: int) -> None:
    rng = np.random.default_rng(m)
    found = [
        stability_index(
            equal_bins(n, bins=bins, rng=rng), equal_bins(m, bins=bins, rng=rng), effect=0
        )
        for _ in range(2000)
    ]
    values = np.array([index.value for index in found])
    per_row = 1 / n + 1 / m

    assert np.mean([index.bins for index in found]) > 0.97 * bins
    assert values.mean() == pytest.approx((bins - 1) * per_row, rel=0.05)
    assert np.mean([index.corrected for index in found]) == pytest.approx(
        0, abs=0.05 * values.mean()
    )
    assert np.quantile(values, 0.95) == pytest.approx(
        stats.chi2.ppf(0.95, bins - 1) * per_row, rel=0.05
    )
    assert np.mean([index.outcome == "alarm" for index in found]) < 0.006


@pytest.mark.parametrize("m", [120, 160, 180, 220])
def test_pooling_sparse_bins_raises_no_false_alarms(m: int) -> None:
    rng = np.random.default_rng(m)
    baseline = equal_bins(50_000, bins=10, rng=rng)

    found = [
        stability_index(baseline, equal_bins(m, bins=10, rng=rng), effect=0) for _ in range(2000)
    ]

    assert np.mean([index.outcome == "alarm" for index in found]) < 0.01


def test_a_small_window_is_no_drift_and_a_shift_is() -> None:
    reference = np.random.default_rng(0).normal(size=20_000)
    cuts = edges(reference, 10)
    baseline = histogram(reference, cuts)[:-1]

    def alarms(by: float) -> float:
        windows = [shifted_normal(500, by=by, cuts=cuts, seed=seed) for seed in range(200)]
        found = [stability_index(baseline, window, effect=0.02) for window in windows]
        return float(np.mean([index.outcome == "alarm" for index in found]))

    assert alarms(0.0) < 0.02
    assert 0.25 < alarms(0.2) < 0.75
    assert alarms(0.5) == 1.0


def test_a_change_that_is_certain_but_too_small_to_matter_is_quiet() -> None:
    index = stability_index([500_000, 500_000], [510_000, 490_000])

    assert index.value > index.noise_floor
    assert index.outcome == "quiet"


def test_too_few_rows_a_bin_are_insufficient() -> None:
    rng = np.random.default_rng(5)
    windows = [equal_bins(100, bins=10, rng=rng) for _ in range(200)]

    outcomes = [stability_index([10_000] * 10, window).outcome for window in windows]

    assert outcomes.count("insufficient") > 190
    assert "alarm" not in outcomes


def test_a_rare_bin_does_not_keep_a_column_from_being_judged() -> None:
    usual = stability_index([50_000, 50_000, 7], [500, 500, 0])
    moved = stability_index([50_000, 50_000, 7], [900, 100, 0])

    assert (usual.outcome, usual.bins) == ("quiet", 2)
    assert moved.outcome == "alarm"


def test_a_value_never_seen_before_is_an_alarm() -> None:
    assert stability_index([100_000, 0], [500, 500]).outcome == "alarm"
    assert stability_index([100_000, 0], [0, 1000]).outcome == "alarm"
    assert stability_index([100_000, 0], [1000, 0]).outcome == "quiet"
    assert stability_index([100_000, 0], [10, 0]).outcome == "insufficient"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.01, 0.5))
def test_alarms_among_many_tests_are_scipys(p_values: list[float], rate: float) -> None:
    adjusted = stats.false_discovery_control(p_values)
    clear = np.abs(adjusted - rate) > 1e-9

    alarms = benjamini_hochberg(p_values, rate)

    assert (alarms == (adjusted <= rate))[clear].all()


def test_fifty_columns_without_drift_seldom_raise_an_alarm() -> None:
    rng = np.random.default_rng(1)
    days = rng.random((1000, 50))

    alarms = [benjamini_hochberg(day, 0.05).any() for day in days]

    assert np.mean(alarms) < 0.075
    assert np.mean((days < 0.05).any(axis=1)) > 0.9


@pytest.mark.parametrize(
    "measure", [jensen_shannon, kolmogorov_smirnov, chi_square, stability_index]
)
def test_histograms_that_cannot_be_compared_are_refused(
    measure: Callable[[list[int], list[int]], object],
) -> None:
    with pytest.raises(
        ValueError, match=exactly("the two histograms need the same bins, got shapes (2,) and (1,)")
    ):
        measure([1, 2], [3])
    with pytest.raises(
        ValueError, match=exactly("a count of rows is 0 or more; pass counts, not differences")
    ):
        measure([1, -2], [3, 4])
    with pytest.raises(UndefinedMeasure) as refusal:
        measure([1, 2], [0, 0])

    assert str(refusal.value) == (
        "a window without rows has no distribution; widen the window or skip the check"
    )


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(
        ValueError,
        match=exactly("expected an effect of 0 or more and a quantile within 0..1, got -1, 0.999"),
    ):
        stability_index([1, 2], [3, 4], effect=-1)
    with pytest.raises(
        ValueError,
        match=exactly("expected p-values within 0..1 and a rate between them, got rate=5"),
    ):
        benjamini_hochberg([0.1], 5)
