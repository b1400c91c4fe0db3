"""Whose CPU time it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.serving.metering import shares
from cd4ml.serving.metrics import Label

labels = st.sampled_from([("delay", n, role) for n in (1, 2) for role in ("champion", "shadow")])
seconds = st.floats(0, 1e6)


@given(
    seconds,
    st.dictionaries(labels, seconds),
    st.dictionaries(labels, st.integers(1, 10**6), min_size=1),
)
def test_all_that_was_spent_is_somebodys(
    spent: float, work: dict[Label, float], answered: dict[Label, float]
) -> None:
    found = shares(spent, work, answered)

    assert set(found) == set(answered)
    assert sum(found.values()) == pytest.approx(spent, abs=1e-9)
    assert all(share >= 0 for share in found.values())


@given(seconds, st.dictionaries(labels, seconds))
def test_what_nobody_was_answered_with_is_nobodys(spent: float, work: dict[Label, float]) -> None:
    assert shares(spent, work, {}) == {}


def test_a_slow_model_takes_more_than_a_fast_one() -> None:
    fast, slow = ("delay", 1, "champion"), ("delay", 2, "shadow")

    found = shares(3.0, {fast: 0.5, slow: 2.0}, {fast: 100.0, slow: 100.0})

    assert found == {fast: 0.75, slow: 2.25}
