"""A release's content changes with everything that decides it, and with nothing else."""

from typing import Any

import msgspec
import pytest

from cd4ml.records.model_version import ModelVersion
from cd4ml.records.rollout import RolloutStep
from cd4ml.records.run import Run
from cd4ml.records.settings import EnvironmentSettings, FreezeSettings
from cd4ml.records.verdict import Verdict
from cd4ml.release.content import content_address, decides, plan_address, scope_address
from tests.release.builders import NOW, PRODUCTION

RUN = Run(
    number=3,
    experiment="default",
    state="finished",
    code="blake3:code",
    environment="blake3:distributions",
    parameters={"delay.max_iter": 100},
    datasets={"flights": "blake3:january"},
    started_at=NOW,
    created_by="ana",
)
VERSION = ModelVersion(
    model="delay",
    number=2,
    run=3,
    verdict=5,
    artifact="blake3:artifact",
    contract="blake3:contract",
    created_at=NOW,
    created_by="ana",
)
VERDICT = Verdict(
    number=5,
    model="delay",
    run=3,
    artifact="blake3:artifact",
    policy="blake3:policy",
    holdout="blake3:holdout",
    findings=(),
    outcome="pass",
    judged_at=NOW,
    judged_by="ana",
)


def digests(
    run: dict[str, Any] | None = None,
    version: dict[str, Any] | None = None,
    verdict: dict[str, Any] | None = None,
    environment: str = "production",
    settings: EnvironmentSettings = PRODUCTION,
) -> dict[str, str]:
    return decides(
        msgspec.structs.replace(VERSION, **(version or {})),
        msgspec.structs.replace(RUN, **(run or {})),
        msgspec.structs.replace(VERDICT, **(verdict or {})),
        environment=environment,
        settings=settings,
    )


def test_eight_things_decide_a_release() -> None:
    assert list(digests()) == [
        "code",
        "data",
        "model",
        "contract",
        "policy",
        "verdict",
        "plan",
        "configuration",
    ]


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ({"run": {"code": "blake3:other"}}, "code"),
        ({"run": {"datasets": {"flights": "blake3:february"}}}, "data"),
        ({"version": {"artifact": "blake3:other"}}, "model"),
        ({"version": {"contract": "blake3:other"}}, "contract"),
        ({"verdict": {"policy": "blake3:other"}}, "policy"),
        ({"verdict": {"outcome": "fail"}}, "verdict"),
        ({"verdict": {"champion": "delay/1"}}, "verdict"),
        ({"settings": EnvironmentSettings(rollout=(RolloutStep(mode="full"),))}, "plan"),
        ({"settings": msgspec.structs.replace(PRODUCTION, approvals=2)}, "plan"),
        ({"settings": msgspec.structs.replace(PRODUCTION, worse_by=0.5)}, "plan"),
        ({"settings": msgspec.structs.replace(PRODUCTION, approval_expires_hours=8.0)}, "plan"),
        ({"settings": msgspec.structs.replace(PRODUCTION, verdicts=("auc",))}, "plan"),
        ({"run": {"parameters": {"delay.max_iter": 200}}}, "configuration"),
        ({"run": {"environment": "blake3:other"}}, "configuration"),
        ({"environment": "staging"}, "configuration"),
    ],
)
def test_a_change_of_any_of_them_is_another_content(changes: dict[str, Any], changed: str) -> None:
    before, after = digests(), digests(**changes)

    assert {name for name in before if before[name] != after[name]} == {changed}
    assert content_address(before) != content_address(after)


def test_who_requests_it_when_and_why_does_not_decide_it() -> None:
    later = digests(
        run={"started_at": NOW.replace(year=2014), "created_by": "omar", "reason": "x"},
        verdict={"number": 9, "judged_at": NOW.replace(year=2014), "judged_by": "omar"},
    )

    assert content_address(later) == content_address(digests())


def test_a_freeze_and_the_data_of_runs_decide_no_release() -> None:
    holidays = FreezeSettings(begin="2013-12-20", until="2014-01-02")
    settings = msgspec.structs.replace(PRODUCTION, freeze=(holidays,), data={"flights": "small@1"})

    assert plan_address(settings) == plan_address(PRODUCTION)


def test_a_plan_has_a_known_address() -> None:
    """Approvals name it: a setting that is added later changes no address while it is not used."""
    assert plan_address(EnvironmentSettings()) == (
        "blake3:1ac3672eff5694a5b4dbb9f185f72fde1a84a3242bbbaab579c8ab4176a9004b"
    )


def test_the_scope_of_a_standing_approval_is_gates_and_rollout_together() -> None:
    plan = plan_address(PRODUCTION)

    assert scope_address("blake3:a", plan) != scope_address("blake3:b", plan)
    assert scope_address("blake3:a", plan) != scope_address("blake3:a", "blake3:plan")
