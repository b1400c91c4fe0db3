"""The evidence on a candidate: what everybody says about the holdout, and what each kind needs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from cd4ml.errors import Cd4mlError, ConfigurationError, InvalidInput
from cd4ml.gates.evidence import Evidence, evidence_of
from cd4ml.gates.policy import Policy
from cd4ml.loop.apart import findings_on_shared_rows
from cd4ml.loop.candidate import Candidate, project_modules, table
from cd4ml.loop.gathering.asked import Asked
from cd4ml.loop.gathering.baselines import scored, seasonal
from cd4ml.loop.gathering.kinds import GATHER
from cd4ml.models.package import CannotAnswer
from cd4ml.models.runtime import Runtime, load
from cd4ml.models.trust import trusted_in
from cd4ml.records.model_version import ModelVersion
from cd4ml.store.project import Project

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl
    from numpy.typing import ArrayLike

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
        CannotAnswer: If the model fails on the holdout.
        AnswersDiffer: If it does not give the same row the same answer.
    """
    runtime = _loaded(project, artifact)
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
    seasons, unsaid = seasonal(asked)
    gathered, missing = _of_each_kind(asked)
    return _of_rows(asked, seasons)._replace(
        found=findings_on_shared_rows(project, candidate, asked.holdout, champion),
        gathered=gathered,
        missing=unsaid | missing,
    )


def _loaded(project: Project, artifact: str) -> Runtime:
    try:
        with project_modules(project):
            return load(project.blobs, artifact, is_trusted=trusted_in(project.database))
    except InvalidInput as error:
        raise CannotAnswer(error.message, hint=error.hint) from error
    except Cd4mlError:
        raise
    except Exception as error:  # it is asked once while it is loaded, and is the user's own code
        msg = f"the model fails when it is asked again: {type(error).__name__}: {error}"
        raise CannotAnswer(msg, hint="an answer may not depend on calls before") from error


def _of_rows(asked: Asked, seasons: Mapping[str, ArrayLike]) -> Evidence:
    settings = asked.project.settings.model
    try:
        with project_modules(asked.project):
            score = asked.runtime.score_frame(asked.holdout)
    except Exception as error:  # whatever an estimator raises: it is the user's own code
        msg = f"the model fails on the holdout: {type(error).__name__}: {error}"
        raise CannotAnswer(msg, hint="let it handle every row") from error
    base_rate, middle = _constants(asked.training, settings.target)
    try:
        return _seen(asked, seasons, score, base_rate, middle)
    except InvalidInput as error:  # its rows cannot be held against anything
        raise CannotAnswer(error.message, hint=error.hint) from error


def _seen(
    asked: Asked,
    seasons: Mapping[str, ArrayLike],
    score: ArrayLike,
    base_rate: float,
    middle: float,
) -> Evidence:
    settings = asked.project.settings.model
    return evidence_of(
        asked.holdout,
        target=settings.target,
        score=score,
        base_rate=base_rate,
        middle=middle,
        champion=asked.champion.ref if asked.champion else "",
        others={**scored(asked), **seasons},
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


def _constants(training: pl.DataFrame, target: str) -> tuple[float, float]:
    """Mean and median of the target: all that a trivial model knows."""
    import polars as pl

    column = pl.col(target).cast(pl.Float64)
    return training.select(column.mean().alias("mean"), column.median().alias("median")).row(0)
