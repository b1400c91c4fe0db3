"""Environments have an order, and settings under which a rollout can end."""

import math
from typing import Any

import pytest

from cd4ml.errors import ConfigurationError, NotFound
from cd4ml.records.rollout import RolloutStep
from cd4ml.records.settings import EmergencySettings, EnvironmentSettings, FreezeSettings
from cd4ml.release.environments import before, is_last, require_possible, settings_of
from tests.release.builders import ENVIRONMENTS, PRODUCTION

FULL = RolloutStep(mode="full")


def refusal(**settings: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        require_possible(
            {"staging": EnvironmentSettings(), "production": EnvironmentSettings(**settings)}
        )
    return str(caught.value)


def test_a_version_goes_through_the_environments_in_the_order_of_the_file() -> None:
    assert before(ENVIRONMENTS, "staging") == ()
    assert before(ENVIRONMENTS, "production") == ("staging",)
    assert not is_last(ENVIRONMENTS, "staging")
    assert is_last(ENVIRONMENTS, "production")


def test_an_environment_that_is_not_there_is_refused_with_those_that_are() -> None:
    assert settings_of(ENVIRONMENTS, "production") == PRODUCTION
    with pytest.raises(NotFound) as caught:
        settings_of(ENVIRONMENTS, "prod")
    assert str(caught.value) == (
        "no environment named 'prod' in cd4ml.toml\n  hint: known: staging, production"
    )


def test_a_project_without_environments_says_how_to_add_one() -> None:
    with pytest.raises(NotFound) as caught:
        settings_of({}, "production")
    assert caught.value.hint == "known: none: add [environments.production] to cd4ml.toml"


def test_settings_that_make_sense_are_let_through() -> None:
    require_possible(ENVIRONMENTS)
    require_possible({})


def test_approvals_that_nobody_may_give_are_refused() -> None:
    assert refusal(approvals=2) == (
        "cd4ml.toml: 2 approvals are needed and no role may give them"
        " - at `environments.production.roles`\n"
        '  hint: for example roles = ["release-manager"]'
    )


@pytest.mark.parametrize(
    ("rollout", "message"),
    [
        (
            (),
            "a rollout ends with a full step - at `environments.production.rollout`\n"
            '  hint: end it with { mode = "full" }',
        ),
        (
            (RolloutStep(mode="shadow", predictions=9),),
            "a rollout ends with a full step - at `environments.production.rollout`\n"
            '  hint: end it with { mode = "full" }',
        ),
        (
            (FULL, FULL),
            "only the last step of a rollout is full - at `environments.production.rollout[0]`",
        ),
        (
            (RolloutStep(mode="shadow"), FULL),
            "a shadow step ends after predictions or labels, got neither"
            " - at `environments.production.rollout[0]`\n"
            "  hint: for example predictions = 1000",
        ),
        (
            (RolloutStep(mode="canary", weight_percent=100, predictions=9), FULL),
            "a canary answers more than 0 and less than 100 percent, got 100"
            " - at `environments.production.rollout[0].weight_percent`",
        ),
        (
            (RolloutStep(mode="canary", predictions=9), FULL),
            "a canary answers more than 0 and less than 100 percent, got 0"
            " - at `environments.production.rollout[0].weight_percent`",
        ),
        (
            (RolloutStep(mode="shadow", weight_percent=5, predictions=9), FULL),
            "only a canary has a weight, got 5 - at `environments.production.rollout[0]`",
        ),
        (
            (RolloutStep(mode="shadow", predictions=-9), FULL),
            "expected 0 or more predictions and labels - at `environments.production.rollout[0]`",
        ),
    ],
)
def test_a_rollout_that_could_not_end_is_refused(
    rollout: tuple[RolloutStep, ...], message: str
) -> None:
    assert refusal(rollout=rollout) == f"cd4ml.toml: {message}"


def test_a_negative_number_of_approvals_is_refused() -> None:
    assert refusal(approvals=-1) == (
        "cd4ml.toml: expected 0 or more approvals, got -1 - at `environments.production.approvals`"
    )


@pytest.mark.parametrize("worse_by", [-0.1, math.nan, math.inf])
def test_a_margin_that_is_none_is_refused(worse_by: float) -> None:
    assert refusal(worse_by=worse_by) == (
        f"cd4ml.toml: expected 0 or more, got {worse_by} - at `environments.production.worse_by`"
    )


def test_approvals_by_role_and_everything_around_them_are_let_through() -> None:
    require_possible(
        {
            "production": EnvironmentSettings(
                verdicts=("auc",),
                approvals={"risk": 1, "release-manager": 2},
                approval_expires_hours=24.0,
                request_expires_hours=72.0,
                freeze=(FreezeSettings(begin="fri 17:00", until="mon 08:00"),),
                emergency=EmergencySettings(roles=("incident-lead",)),
            )
        }
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"approvals": {"risk": 0}},
            "expected 1 or more approvals, got 0 - at `environments.production.approvals.risk`",
        ),
        (
            {"approvals": {"risk": 1}, "roles": ("legal",)},
            "approvals name their roles already - at `environments.production.roles`\n"
            "  hint: leave out roles, or say how many approvals as one number",
        ),
        (
            {"approval_expires_hours": 0.0},
            "expected more than 0 and at most 878,400 hours, got 0"
            " - at `environments.production.approval_expires_hours`\n"
            "  hint: leave it out if it never expires",
        ),
        (
            {"request_expires_hours": math.nan},
            "expected more than 0 and at most 878,400 hours, got nan"
            " - at `environments.production.request_expires_hours`\n"
            "  hint: leave it out if it never expires",
        ),
        (
            {"freeze": (FreezeSettings(begin="fri", until="never"),)},
            "expected a date, a date and a time, or a day of the week and a time, got 'never'"
            " - at `environments.production.freeze[0].until`\n"
            '  hint: for example from = "2026-12-20" or from = "fri 17:00"',
        ),
        (
            {"emergency": EmergencySettings(roles=())},
            "an emergency needs a role that may say there is one"
            " - at `environments.production.emergency.roles`\n"
            '  hint: for example roles = ["incident-lead"]',
        ),
        (
            {"emergency": EmergencySettings(roles=("a",), rollout=())},
            "a rollout ends with a full step - at `environments.production.emergency.rollout`\n"
            '  hint: end it with { mode = "full" }',
        ),
    ],
)
def test_agreement_that_nobody_can_mean_is_refused(settings: dict[str, Any], message: str) -> None:
    assert refusal(**settings) == f"cd4ml.toml: {message}"
