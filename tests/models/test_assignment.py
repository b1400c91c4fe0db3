"""A key is answered by the same version until the weights say otherwise."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.models.assignment import assign, position, shadows
from cd4ml.records.plan import Arm, Plan

keys = st.text(max_size=20)
weights = st.floats(0, 100)


def plan(canary_percent: float | None = None, *, release: int = 4, n_shadows: int = 0) -> Plan:
    arms = [arm("champion", 1, 100 - (canary_percent or 0))]
    if canary_percent is not None:
        arms.append(arm("canary", 2, canary_percent))
    arms += [arm("shadow", 3 + i, 0) for i in range(n_shadows)]
    return Plan(
        number=9,
        environment="production",
        model="delay",
        arms=tuple(arms),
        release=release,
        made_at=datetime(2013, 1, 1, tzinfo=UTC),
    )


def arm(role: str, number: int, weight: float) -> Arm:
    return Arm(role=role, model="delay", number=number, artifact="", weight_percent=weight)  # type: ignore[arg-type]


@given(keys)
def test_without_a_canary_the_champion_answers(key: str) -> None:
    assert assign(plan(n_shadows=1), key).role == "champion"


@given(keys, weights, weights)
def test_raising_the_weight_keeps_every_key_of_the_canary(key: str, a: float, b: float) -> None:
    low, high = sorted((a, b))

    if assign(plan(low), key).role == "canary":
        assert assign(plan(high), key).role == "canary"


@given(keys)
def test_a_canary_of_nothing_answers_nobody_and_one_of_everything_all(key: str) -> None:
    assert assign(plan(0.0), key).role == "champion"
    assert assign(plan(100.0), key).role == "canary"


@pytest.mark.parametrize("weight", [5, 25, 50])
def test_the_canary_gets_its_share(weight: float) -> None:
    answered = [assign(plan(weight), f"customer-{i}").role for i in range(20_000)]

    # four standard deviations of a binomial share
    assert answered.count("canary") / 20_000 == pytest.approx(weight / 100, abs=0.0142)


def test_another_release_tries_other_keys_first() -> None:
    keys = [f"customer-{i}" for i in range(10_000)]
    first = {key for key in keys if position(1, key) < 10}
    second = {key for key in keys if position(2, key) < 10}

    assert 50 < len(first & second) < 150  # a tenth of a tenth, as for independent draws


def test_shadows_are_apart() -> None:
    assert [arm.number for arm in shadows(plan(10.0, n_shadows=2))] == [3, 4]
