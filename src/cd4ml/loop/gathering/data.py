"""What contracts say of the dataset versions that a run read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cd4ml.errors import Cd4mlError, ConfigurationError, InvalidInput
from cd4ml.loop.check import findings_on
from cd4ml.loop.contracts import declared
from cd4ml.loop.gathering.asked import Asked
from cd4ml.loop.quarantine import context_of
from cd4ml.loop.refs import dataset_version_in
from cd4ml.records.contract import Contract
from cd4ml.records.data_gate import CheckedDataset, DataEvidence
from cd4ml.records.dataset import DatasetVersion
from cd4ml.store import rows


def gather_data(asked: Asked, gates: tuple[Any, ...]) -> DataEvidence:
    """Every dataset of the run, held against its contract again.

    The contract is the one that `cd4ml.toml` names today, else the one that the version was
    checked against when it came. Rows are as fresh as they were when the run began. No value
    of a row is kept: everybody may read a verdict.

    Raises:
        ConfigurationError: If a contract that is named today cannot be read.
    """
    refs = asked.candidate.run.refs
    return DataEvidence(datasets=tuple(_checked(asked, name, refs[name]) for name in sorted(refs)))


def _checked(asked: Asked, name: str, ref: str) -> CheckedDataset:
    try:
        dataset, number = dataset_version_in(ref)
    except InvalidInput:  # nothing had come from production yet
        return CheckedDataset(dataset=name, ref=ref, is_empty=True)
    with asked.project.database.read() as connection:
        version = rows.get(connection, DatasetVersion, dataset, number)
    contract = _contract(asked, version)
    try:
        return _held(asked, name, version, contract)
    except Cd4mlError as error:
        return CheckedDataset(dataset=name, ref=ref, problem=error.discreet or error.message)


def _contract(asked: Asked, version: DatasetVersion) -> Contract | None:
    settings = asked.project.settings.data.get(version.dataset)
    if settings is not None and settings.contract:
        key = f"data.{version.dataset}.contract"
        try:
            return declared(asked.project, settings.contract, key=key)
        except InvalidInput as error:
            raise ConfigurationError(error.message, hint=error.hint) from None
    return asked.project.blobs.get_record(version.contract, Contract) if version.contract else None


def _held(
    asked: Asked, name: str, version: DatasetVersion, contract: Contract | None
) -> CheckedDataset:
    seen = CheckedDataset(
        dataset=name, ref=version.ref, n_rows=version.n_rows, n_quarantined=version.n_quarantined
    )
    if contract is None:
        return seen
    run = asked.candidate.run
    context = context_of(asked.project, contract, actor=run.created_by)
    context = replace(context, now=run.started_at)
    findings = findings_on(asked.project, version, contract, context)
    return CheckedDataset(
        dataset=name,
        ref=version.ref,
        contract=f"{contract.name} {contract.version}",
        n_rows=version.n_rows,
        n_quarantined=version.n_quarantined,
        findings=tuple(finding.without_example for finding in findings),
    )
