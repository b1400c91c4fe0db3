"""What decides a release, as digests: an approval counts for exactly these."""

from __future__ import annotations

from typing import Any

import msgspec

from cd4ml.records.model_version import ModelVersion
from cd4ml.records.release import Release
from cd4ml.records.run import Run
from cd4ml.records.settings import EnvironmentSettings
from cd4ml.records.verdict import Verdict
from cd4ml.store.address import address_of_record

_UNDECISIVE: dict[str, Any] = {"data": {}, "parameters": {}, "freeze": ()}
_MADE = ("code", "contract", "configuration")
_ALWAYS = ("data", "parameters", "approvals", "roles", "rollout", "worse_by")


def decides(
    version: ModelVersion,
    run: Run,
    verdict: Verdict,
    *,
    environment: str,
    settings: EnvironmentSettings,
) -> dict[str, str]:
    """The digests of everything that decides a release.

    Args:
        version: What is to be released.
        run: The run that trained it.
        verdict: The one that let it in.
        environment: Where to.
        settings: That environment's settings.

    Returns:
        `code` (what the steps reach), `data` (the dataset versions it learned from), `model`,
        `contract`, `policy` (the gates), `verdict` (what they found), `plan` (who agrees and how
        traffic moves) and `configuration` (where to, the run's parameters and installed
        distributions).
    """
    configuration = {
        "model": version.model,
        "environment": environment,
        "parameters": run.parameters,
        "distributions": run.environment,
    }
    return {
        "code": run.code,
        "data": address_of_record(run.datasets),
        "model": version.artifact,
        "contract": version.contract,
        "policy": verdict.policy,
        "verdict": verdict_address(verdict),
        "plan": plan_address(settings),
        "configuration": address_of_record(configuration),
    }


def changed_since(release: Release, there: Release | None) -> list[str]:
    """Which digests of a release are others than those of the one in charge; all without one."""
    before = there.decides if there else {}
    return [name for name, digest in release.decides.items() if before.get(name) != digest]


def is_same(release: dict[str, str], other: dict[str, str]) -> bool:
    """Whether two releases offer the same, whatever the gates said of it meanwhile.

    Examples:
        >>> is_same({"model": "a", "verdict": "b"}, {"model": "a", "verdict": "c"})
        True
    """
    return {**release, "verdict": ""} == {**other, "verdict": ""}


def made_as(digests: dict[str, str]) -> dict[str, str]:
    """How a version is made, whatever it learned from: what retraining leaves as it is.

    Examples:
        >>> made_as({"code": "a", "data": "b", "contract": "c", "configuration": "d"})
        {'code': 'a', 'contract': 'c', 'configuration': 'd'}
    """
    return {name: digests.get(name, "") for name in _MADE}


def content_address(digests: dict[str, str]) -> str:
    """The one address of what decides a release: what approvals name.

    Examples:
        >>> content_address({"model": "blake3:aa"}) == content_address({"model": "blake3:bb"})
        False
    """
    return address_of_record(digests)


def verdict_address(verdict: Verdict) -> str:
    """The address of what a verdict says, whenever and by whom it was asked for.

    Judging again and finding the same is the same evidence; finding anything else is not.
    """
    said = {
        "holdout": verdict.holdout,
        "champion": verdict.champion,
        "findings": verdict.findings,
        "outcome": verdict.outcome,
    }
    return address_of_record(said)


def plan_address(settings: EnvironmentSettings) -> str:
    """The address of what an environment asks of a release: who agrees, how traffic moves.

    The data and parameters of runs there decide no release: each run records its own. Freeze
    windows decide when, not what. What is left out counts as nothing, so that a setting that a
    later cd4ml adds changes no address while nobody uses it.
    """
    asked = msgspec.to_builtins(msgspec.structs.replace(settings, **_UNDECISIVE))
    unset = msgspec.to_builtins(EnvironmentSettings())
    said = {k: value for k, value in asked.items() if k in _ALWAYS or value != unset[k]}
    return address_of_record(said)


def scope_address(policy: str, plan: str) -> str:
    """The address of gates and rollout plan together: what a standing approval rests on.

    Args:
        policy: Address of the gates, as a verdict has it.
        plan: Address of the environment's settings, see `plan_address`.

    Examples:
        >>> scope_address("blake3:aa", "blake3:bb") == scope_address("blake3:bb", "blake3:aa")
        False
    """
    return address_of_record({"policy": policy, "plan": plan})
