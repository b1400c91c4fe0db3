"""A rollout is judged after every prediction, so its rules must not tire of an identical model.

Each stream is judged by `advance` itself at its worst moment: if it is not aborted there, it is
aborted nowhere.
"""

from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from cd4ml.measures.evidence import betabinomial_e
from cd4ml.measures.moments import Moments
from cd4ml.measures.sequential import Band, difference_sequence, paired_difference_sequence
from cd4ml.records.rollout import RolloutEvidence
from cd4ml.records.settings import EnvironmentSettings
from cd4ml.release.content import plan_address
from cd4ml.release.states import FAILURES_ALLOWED, Facts, Transition, advance
from tests.release.builders import NOW, PRODUCTION, a_release

N_STREAMS, N_ROWS = 400, 1500
SHARE = 0.25  # of the canary
STRICT = msgspec.structs.replace(PRODUCTION, worse_by=0.0)  # no margin: only chance can abort

# One-sided: half of the two-sided 5 %, and three standard errors of the simulation.
ALLOWED = 0.025 + 3 * np.sqrt(0.025 * 0.975 / N_STREAMS)


class Streams(NamedTuple):
    """Squared errors of calibrated probabilities, and which rows the canary answered."""

    losses: NDArray[np.float64]
    is_new: NDArray[np.bool_]


@pytest.fixture(scope="module")
def streams() -> Streams:
    rng = np.random.default_rng(20130201)
    said = rng.beta(2, 6, (N_STREAMS, N_ROWS))
    happened = rng.random((N_STREAMS, N_ROWS)) < said
    return Streams(np.square(said - happened), rng.random((N_STREAMS, N_ROWS)) < SHARE)


def canary_band(streams: Streams, worse: float = 0.0) -> Band:
    """After each row: what is known of the canary's loss minus the champion's."""
    return difference_sequence(
        _moments(streams.losses + worse, streams.is_new), _moments(streams.losses, ~streams.is_new)
    )


def _moments(losses: NDArray[np.float64], is_in: NDArray[np.bool_]) -> Moments:
    powers = (np.cumsum(np.where(is_in, losses**power, 0.0), axis=1) for power in (1, 2, 3, 4))
    return Moments(np.cumsum(is_in, axis=1), *powers)


def is_aborted(settings: EnvironmentSettings, **evidence: Any) -> bool:
    decides = {**a_release().decides, "plan": plan_address(settings)}
    release = a_release(state="rolling_out", step=2, decides=decides)
    seen = RolloutEvidence(**evidence)
    outcome = advance(release, Facts(settings=settings, evidence=seen, now=NOW))
    return isinstance(outcome, Transition) and outcome.state == "aborted"


def share_aborted(band: Band, settings: EnvironmentSettings) -> float:
    worst = np.nanargmax(np.where(np.isfinite(band.low), band.low, -1e9), axis=1)
    stream = np.arange(N_STREAMS)
    low, high = band.low[stream, worst], band.high[stream, worst]
    aborted = [
        is_aborted(
            settings,
            n_new=100,
            n_labelled=100,
            worse_low=float(low[i]),
            worse_high=float(high[i]),
        )
        for i in stream
    ]
    return float(np.mean(aborted))


def test_an_identical_canary_is_not_rolled_back(streams: Streams) -> None:
    assert share_aborted(canary_band(streams), STRICT) <= ALLOWED


def test_an_identical_shadow_is_not_rolled_back(streams: Streams) -> None:
    rng = np.random.default_rng(1)
    jittered = streams.losses + rng.normal(0, 0.02, streams.losses.shape)  # other, not worse

    band = paired_difference_sequence(jittered, streams.losses)

    assert share_aborted(band, STRICT) <= ALLOWED


def test_with_the_margin_that_is_the_default_it_is_never_rolled_back(streams: Streams) -> None:
    assert share_aborted(canary_band(streams), PRODUCTION) <= 0.01


def test_the_steps_of_a_whole_rollout_together_do_not_roll_back_an_identical_model(
    streams: Streams,
) -> None:
    steps = [
        canary_band(Streams(streams.losses[:, rows], streams.is_new[:, rows]))
        for rows in (slice(0, 500), slice(500, 1000), slice(1000, 1500))
    ]

    assert sum(share_aborted(step, PRODUCTION) for step in steps) <= 0.05


def test_a_canary_that_is_much_worse_is_rolled_back(streams: Streams) -> None:
    assert share_aborted(canary_band(streams, worse=0.1), PRODUCTION) >= 0.9


def test_a_threshold_on_the_plain_difference_would_roll_back_identical_models(
    streams: Streams,
) -> None:
    """What these rules are for: the same streams, judged by the margin alone from row 100 on."""
    difference = canary_band(streams).value[:, 100:]

    assert (difference > PRODUCTION.worse_by).any(axis=1).mean() >= 0.35


def test_a_version_that_fails_as_often_as_allowed_is_not_rolled_back() -> None:
    rng = np.random.default_rng(2)
    failed = np.cumsum(rng.random((N_STREAMS, N_ROWS)) < FAILURES_ALLOWED, axis=1)
    n = np.arange(1, N_ROWS + 1)
    evidence = betabinomial_e(
        failed, n, p0=FAILURES_ALLOWED, a=20 * FAILURES_ALLOWED, b=20 * (1 - FAILURES_ALLOWED)
    )
    worst = np.argmax(np.where(failed > FAILURES_ALLOWED * n, evidence, -1e9), axis=1)

    aborted = [
        is_aborted(PRODUCTION, n_new=int(n[at]), n_failed=int(failed[stream, at]))
        for stream, at in enumerate(worst)
    ]

    assert np.mean(aborted) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / N_STREAMS)


def test_a_version_that_always_fails_is_rolled_back_within_a_few_requests() -> None:
    assert is_aborted(PRODUCTION, n_new=4, n_failed=4)


def test_a_version_that_fails_on_a_tenth_is_rolled_back_soon() -> None:
    assert is_aborted(PRODUCTION, n_new=60, n_failed=6)
