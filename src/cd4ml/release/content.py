"""What decides a release, as digests: an approval counts for exactly these."""

from __future__ import annotations

import msgspec

from cd4ml.records.model_version import ModelVersion
from cd4ml.records.run import Run
from cd4ml.records.settings import EnvironmentSettings
from cd4ml.records.verdict import Verdict
from cd4ml.store.address import address_of_record


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
        `contract`, `policy` (the gates), `plan` (who agrees and how traffic moves) and
        `configuration` (where to, the run's parameters and installed distributions).
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
        "plan": plan_address(settings),
        "configuration": address_of_record(configuration),
    }


def content_address(digests: dict[str, str]) -> str:
    """The one address of what decides a release: what approvals name.

    Examples:
        >>> content_address({"model": "blake3:aa"}) == content_address({"model": "blake3:bb"})
        False
    """
    return address_of_record(digests)


def plan_address(settings: EnvironmentSettings) -> str:
    """The address of what an environment asks of a release: who agrees, how traffic moves.

    The data and parameters of runs there decide no release: each run records its own.
    """
    return address_of_record(msgspec.structs.replace(settings, data={}, parameters={}))


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
