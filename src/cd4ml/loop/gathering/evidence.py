"""The evidence on a candidate: what everybody says about the holdout, and what each kind needs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from cd4ml.errors import Cd4mlError, ConfigurationError
from cd4ml.gates.evidence import Evidence, evidence_of
from cd4ml.gates.policy import Policy
from cd4ml.loop.apart import findings_on_shared_rows
from cd4ml.loop.candidate import Candidate, project_modules, runtime_of, table
from cd4ml.loop.gathering.asked import Asked
from cd4ml.loop.gathering.kinds import GATHER
from cd4ml.loop.refs import version_in
from cd4ml.models.runtime import load
from cd4ml.models.trust import trusted_in
from cd4ml.records.model_version import ModelVersion
from cd4ml.store import rows
from cd4ml.store.project import Project

if TYPE_CHECKING:
    import polars as pl

_log = logging.getLogger(__name__)


def gather(
    project: Project,
    candidate: Candidate,
    *,
    artifact: str,
    contract: str,
    policy: Policy,
    champion: ModelVersion | None,
) -> Evidence:
    """All that the gates of a policy need to see of a candidate.

    Args:
        project: Whose model.
        candidate: What is to be judged.
        artifact: Content address of its packaged model.
        contract: Content address of the contract of its requests.
        policy: What will be asked.
        champion: The version in charge.

    Raises:
        ConfigurationError: If `[model]` or a gate names what is not there.
        NotFound: If the policy names a version that is not there.
    """
    with project_modules(project):
        runtime = load(project.blobs, artifact, is_trusted=trusted_in(project.database))
    asked = Asked(
        project=project,
        candidate=candidate,
        artifact=artifact,
        contract=contract,
        runtime=runtime,
        policy=policy,
        champion=champion,
        training=table(project, candidate.training),
        holdout=table(project, candidate.holdout),
    )
    gathered, missing = _of_each_kind(asked)
    found = findings_on_shared_rows(project, candidate, asked.holdout, champion)
    return _of_rows(asked)._replace(found=found, gathered=gathered, missing=missing)


def _of_rows(asked: Asked) -> Evidence:
    settings = asked.project.settings.model
    with project_modules(asked.project):
        score = asked.runtime.score_frame(asked.holdout)
    compared = {version.ref: version for version in _compared(asked)}
    return evidence_of(
        asked.holdout,
        target=settings.target,
        score=score,
        base_rate=_base_rate(asked.training, settings.target),
        champion=asked.champion.ref if asked.champion else "",
        others={
            ref: runtime_of(asked.project, version).score_frame(asked.holdout)
            for ref, version in compared.items()
        },
        slices=settings.slices,
    )


def _of_each_kind(asked: Asked) -> tuple[dict[str, msgspec.Struct], dict[str, str]]:
    """The own record of each kind that the policy asks, and why one could not be had."""
    gathered: dict[str, msgspec.Struct] = {}
    missing: dict[str, str] = {}
    for kind, gather_kind in GATHER.items():
        if gates := asked.policy.of_kind(kind):
            try:
                gathered[kind] = gather_kind(asked, gates)
            except ConfigurationError:
                raise  # the policy is to be mended, not the candidate
            except Cd4mlError as error:
                missing[kind] = error.message
            except Exception as error:  # what could not be gathered is a finding, never a pass
                _log.exception("the evidence for gates of the kind %s could not be had", kind)
                missing[kind] = f"{type(error).__name__}: {error}"
    return gathered, missing


def _compared(asked: Asked) -> list[ModelVersion]:
    with asked.project.database.read() as connection:
        named = [
            rows.get(connection, ModelVersion, *version_in(ref)) for ref in asked.policy.versions
        ]
    return [*named, *([asked.champion] if asked.champion else [])]


def _base_rate(training: pl.DataFrame, target: str) -> float:
    import polars as pl

    return float(training.select(pl.col(target).cast(pl.Float64).mean()).item())
