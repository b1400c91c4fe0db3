"""A policy that no project can mean is refused when the project is opened."""

import pytest

from cd4ml.errors import ConfigurationError
from cd4ml.loop import Project
from tests.loop.test_evaluate import change

FULL = '  { mode = "full" },\n'


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'metric = "auc"',
            'metric = "acc"',
            "there is no measure named 'acc' - at `gate[0].metric`",
        ),
        (
            "at_least = 0.6",
            "at_least = nan",
            "a limit is a finite number, got nan - at `gate[0].at_least`",
        ),
        (
            "champion = 0.1",
            "champion = -0.5",
            "the margin by which it may be worse is above 0, got -0.5"
            " - at `gate[0].no_worse_than.champion`",
        ),
        (
            "approvals = 1",
            "approvals = -1",
            "expected 0 or more approvals, got -1 - at `environments.production.approvals`",
        ),
        (
            'roles = ["release-manager"]',
            "",
            "1 approval is needed and no role may give it - at `environments.production.roles`",
        ),
        (
            "weight_percent = 50",
            "weight_percent = 150",
            "a canary answers more than 0 and less than 100 percent, got 150"
            " - at `environments.production.rollout[1].weight_percent`",
        ),
        (FULL, "", "a rollout ends with a full step - at `environments.production.rollout`"),
        (
            "predictions = 20",
            "predictions = -20",
            "expected 0 or more predictions and labels - at `environments.production.rollout[0]`",
        ),
        (
            "worse_by = 0.5",
            "worse_by = nan",
            "expected 0 or more, got nan - at `environments.production.worse_by`",
        ),
        (
            'metrics = ["auc"]',
            'metrics = ["acc"]',
            "there is no measure named 'acc' - at `monitoring.metrics`",
        ),
        (
            'metrics = ["auc"]',
            'metrics = ["f1"]',
            "f1 cannot be watched: one answer for all is no baseline of it"
            " - at `monitoring.metrics`",
        ),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(
    project: Project, old: str, new: str, message: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        change(project, old, new)

    assert refused.value.message == f"cd4ml.toml: {message}"
