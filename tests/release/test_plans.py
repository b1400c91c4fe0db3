"""A plan says who answers at each step of a rollout."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.records.model_version import ModelVersion
from cd4ml.records.rollout import RolloutStep
from cd4ml.release.plans import alone, arms_at, steps_of
from tests.release.builders import NOW, PRODUCTION, ROLLOUT


def version(number: int) -> ModelVersion:
    return ModelVersion(
        model="delay",
        number=number,
        run=number,
        verdict=number,
        artifact=f"blake3:{number}",
        contract="blake3:c",
        created_at=NOW,
        created_by="ana",
    )


def shares(step: RolloutStep, champion: ModelVersion | None) -> list[tuple[str, int, float]]:
    arms = arms_at(step, version(2), champion)
    return [(arm.role, arm.number, arm.weight_percent) for arm in arms]


def test_a_shadow_answers_nobody() -> None:
    step = RolloutStep(mode="shadow", predictions=100)

    assert shares(step, version(1)) == [("champion", 1, 100.0), ("shadow", 2, 0.0)]


def test_a_canary_answers_its_share_and_the_champion_the_rest() -> None:
    step = RolloutStep(mode="canary", weight_percent=5, predictions=100)

    assert shares(step, version(1)) == [("champion", 1, 95.0), ("canary", 2, 5.0)]


def test_a_full_step_leaves_the_new_version_alone() -> None:
    assert shares(RolloutStep(mode="full"), version(1)) == [("champion", 2, 100.0)]


@pytest.mark.parametrize("step", ROLLOUT)
def test_without_a_champion_the_new_version_answers_everything(step: RolloutStep) -> None:
    assert shares(step, None) == [("champion", 2, 100.0)]


def test_without_a_champion_there_is_nothing_to_compare_with_and_one_step() -> None:
    assert steps_of(PRODUCTION, has_champion=True) == ROLLOUT
    assert steps_of(PRODUCTION, has_champion=False) == (RolloutStep(mode="full"),)


def test_an_arm_names_the_artifact_it_loads() -> None:
    assert [arm.artifact for arm in alone(version(2))] == ["blake3:2"]


@given(weight=st.floats(0.01, 99.99))
def test_champion_and_canary_share_all_requests(weight: float) -> None:
    step = RolloutStep(mode="canary", weight_percent=weight, predictions=1)

    arms = arms_at(step, version(2), version(1))

    assert sum(arm.weight_percent for arm in arms) == pytest.approx(100)
    assert all(arm.weight_percent > 0 for arm in arms)
