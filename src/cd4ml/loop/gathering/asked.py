"""What is known of a candidate when its evidence is gathered."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cd4ml.gates.policy import Policy
from cd4ml.loop.candidate import Candidate
from cd4ml.models.runtime import Runtime
from cd4ml.records.model_version import ModelVersion
from cd4ml.store.project import Project

if TYPE_CHECKING:
    import polars as pl


class Asked(NamedTuple):
    """A candidate beside the policy that it is to be judged by."""

    project: Project
    candidate: Candidate
    artifact: str  # content address of its packaged model
    contract: str  # content address of the contract of its requests
    runtime: Runtime  # the packaged model, loaded: what would answer
    policy: Policy
    champion: ModelVersion | None
    training: pl.DataFrame
    holdout: pl.DataFrame
