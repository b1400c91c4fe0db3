"""Training and holdout are kept apart: no row is both for a version that is judged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cd4ml.errors import Cd4mlError, ConfigurationError, InvalidInput
from cd4ml.gates.overlap import key_that_fits, overlap_findings
from cd4ml.loop.candidate import Candidate, candidate_behind, table
from cd4ml.loop.refs import dataset_version_in
from cd4ml.records.contract import Contract
from cd4ml.records.dataset import DatasetVersion
from cd4ml.records.finding import Finding
from cd4ml.records.model_version import ModelVersion
from cd4ml.store import rows
from cd4ml.store.project import Project

if TYPE_CHECKING:
    import polars as pl


def findings_on_shared_rows(
    project: Project,
    candidate: Candidate,
    holdout: pl.DataFrame,
    champion: ModelVersion | None,
) -> tuple[Finding, ...]:
    """What the candidate learned of the rows that judge it, and what the champion did.

    `[model] key` says what must not be on both sides. Without it, it is the key of a
    dataset's contract that identifies the rows of both tables, else the whole row.

    Raises:
        ConfigurationError: If `[model] key` names a column that the rows do not have.
    """
    training = table(project, candidate.training)
    key = key_of(project, candidate, training, holdout)
    try:
        own = overlap_findings(training, holdout, key)
    except InvalidInput as error:
        msg = f"cd4ml.toml: {error.message} - at `model.key`"
        raise ConfigurationError(msg, hint=error.hint) from None
    return (*own, *_champions(project, holdout, key, champion))


def key_of(
    project: Project, candidate: Candidate, training: pl.DataFrame, holdout: pl.DataFrame
) -> tuple[str, ...]:
    """What tells rows apart: `[model] key`, or a contract's key that does in both; () if none."""
    keys = (contract.key for contract in contracts_of(project, candidate))
    return project.settings.model.key or key_that_fits(training, holdout, keys)


def _champions(
    project: Project, holdout: pl.DataFrame, key: tuple[str, ...], champion: ModelVersion | None
) -> tuple[Finding, ...]:
    if champion is None:
        return ()
    try:
        learned = table(project, candidate_behind(project, champion).training)
        return overlap_findings(learned, holdout, key, learner=champion.ref)
    except Cd4mlError:  # its rows are gone, or are called otherwise today: nothing is decided by it
        return ()


def contracts_of(project: Project, candidate: Candidate) -> Iterator[Contract]:
    """The contracts that the run's datasets were checked against."""
    with project.database.read() as connection:
        for ref in candidate.run.refs.values():
            try:
                name, number = dataset_version_in(ref)
            except InvalidInput:  # nothing has come from production yet
                continue
            version = rows.get(connection, DatasetVersion, name, number)
            if version.contract:
                yield project.blobs.get_record(version.contract, Contract)
