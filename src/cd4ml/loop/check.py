"""Does data keep its contract? Looked at without storing anything."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from cd4ml.data.contract_file import read_text, to_toml
from cd4ml.data.files import files_of, left_alone, openable
from cd4ml.data.formats import SUFFIXES, Reading, reading_of, reread, scan
from cd4ml.data.manifest import manifest_of
from cd4ml.data.odcs import contract_from_odcs
from cd4ml.data.odcs_export import to_odcs
from cd4ml.data.pandera_rules import in_own_words
from cd4ml.data.pandera_schema import PanderaContract
from cd4ml.data.refs import find_version
from cd4ml.data.remote import is_remote
from cd4ml.data.rules import Context
from cd4ml.data.suggest import suggest
from cd4ml.data.versions import newest_version, paths_of
from cd4ml.data.written import check_files
from cd4ml.errors import InvalidInput
from cd4ml.loop.access import admit, require_reader
from cd4ml.loop.contracts import declared
from cd4ml.loop.quarantine import context_of
from cd4ml.records.contract import Contract
from cd4ml.records.dataset import DatasetVersion
from cd4ml.records.finding import Finding, Outcome, worst
from cd4ml.records.settings import DataSettings
from cd4ml.store.project import Project

Form = Literal["toml", "odcs"]


class CheckedData(msgspec.Struct, frozen=True, kw_only=True):
    """What a contract says about files or a version; `what` names them."""

    what: str
    contract: str
    n_rows: int
    outcome: Outcome
    findings: tuple[Finding, ...]


class _Table(msgspec.Struct, frozen=True):
    paths: tuple[Path, ...]
    reading: Reading


def check_dataset(project: Project, ref: str, *, actor: str = "") -> CheckedData:
    """The present files of a dataset, or `name@number`, against the contract declared now.

    A dataset whose rows do not come from files is looked at in its newest version. Values
    of a version's text files are read as the contract declares them.

    Raises:
        InvalidInput: If the dataset has no contract, or its files are not one table.
        NotFound: If there is no such version, or no file.
        NotAllowed: If the dataset is restricted and the actor has none of its roles.
        Conflict: If a file changed while it was read.
    """
    name = ref.partition("@")[0]
    settings = project.settings.data.get(name, DataSettings())
    contract = declared(project, settings.contract, key=f"data.{name}.contract")
    if contract is None:
        raise _without_contract(project, name, settings)
    if "@" in ref or not settings.path or settings.source == "production":
        version = _version(project, ref)
        admit(project, version, actor=actor, why="check")
        context = context_of(project, contract, actor=actor)
        return _checked(version.ref, contract, findings_on(project, version, contract, context))
    require_reader(project, name, actor=actor)
    context = context_of(project, contract, actor=actor)
    listing = files_of(project.folder, settings.path)
    paths = openable(listing.paths, project.files.cache / "names")
    with left_alone(listing.files):
        findings = check_files(paths, reading_of(paths, contract), contract, context)
    return _checked(settings.path, contract, findings)


def findings_on(
    project: Project, version: DatasetVersion, contract: Contract, context: Context
) -> tuple[Finding, ...]:
    """What a contract says about the rows of a version; who may read them was asked before.

    Raises:
        InvalidInput: If it consists of files that are no table.
    """
    table = _stored(project, version)
    return check_files(table.paths, reread(table.reading, contract), contract, context)


def suggest_contract(project: Project, ref: str, *, form: Form = "toml", actor: str = "") -> str:
    """The contract that a version's rows suggest, as a file for people to review.

    Raises:
        NotFound: If there is no such version.
    """
    version = _version(project, ref)
    table = _stored(project, version)
    admit(project, version, actor=actor, why="suggest a contract")
    suggestion = suggest(scan(table.paths, table.reading), version.dataset, source=version.ref)
    if form == "odcs":
        return to_odcs(suggestion.contract)
    return to_toml(suggestion.contract, suggestion.notes)


def contract_as(project: Project, name: str, *, form: Form = "toml") -> str:
    """A contract as a file in another form.

    Args:
        project: Whose.
        name: A dataset of `cd4ml.toml`, or a contract as it can be named there:
            `module:Name`, a .toml file, or a .yaml file (`file.yaml#table`).
        form: "toml", or "odcs" for the Open Data Contract Standard.

    Raises:
        InvalidInput: If the dataset has no contract.
        ConfigurationError: If the contract cannot be read.
    """
    settings = project.settings.data.get(name)
    source = settings.contract if settings else name
    if settings is not None and not source:
        raise _without_contract(project, name, settings)
    if settings is None and not _names_contract(name):
        listed = ", ".join(sorted(project.settings.data)) or "none"
        msg = f"{name!r} is neither a dataset in cd4ml.toml nor a contract"
        hint = f"datasets: {listed}; contracts: module:Name, a .toml file, or a .yaml file"
        raise InvalidInput(msg, hint=hint)
    contract = declared(project, source, key=f"data.{name}.contract")
    if contract is None:  # what has a name has a contract
        raise AssertionError(source)
    if isinstance(contract, PanderaContract):
        contract = in_own_words(contract)
    if form == "odcs":
        return to_odcs(contract)
    return to_toml(contract, {"": _left_out(project, source)})


def _without_contract(project: Project, name: str, settings: DataSettings) -> InvalidInput:
    """The refusal, with a remedy that works: only rows suggest a contract."""
    with project.database.read() as connection:
        newest = newest_version(connection, name)
    if newest is not None and newest.kind == "files":
        msg = f"{newest.ref} consists of files that are no table"
        return InvalidInput(msg, hint="contracts are about the rows of tables")
    if newest is None and _is_no_table(project, settings):
        msg = f"{name!r} consists of files that are no table"
        return InvalidInput(msg, hint="contracts are about the rows of tables")
    if newest is None and name not in project.settings.data:
        listed = ", ".join(sorted(project.settings.data)) or "none"
        msg = f"no dataset named {name!r} in cd4ml.toml"
        return InvalidInput(msg, hint=f"known: {listed}")
    first = "" if newest else "once it has a version: "
    msg = f"the dataset {name!r} has no contract"
    return InvalidInput(msg, hint=f"{first}cd4ml data suggest {name} > {name}.toml writes one")


def _is_no_table(project: Project, settings: DataSettings) -> bool:
    if not settings.path or settings.source != "files" or is_remote(settings.path):
        return False
    paths = files_of(project.folder, settings.path).paths
    return any(path.suffix.lower() not in SUFFIXES for path in paths)


def _names_contract(name: str) -> bool:
    suffix = Path(name.partition("#")[0]).suffix.lower()
    return ":" in name or suffix in (".toml", ".yaml", ".yml")


def _left_out(project: Project, source: str) -> str:
    """What a file says besides the contract, in words."""
    file, _, table = source.partition("#")
    if Path(file).suffix.lower() not in (".yaml", ".yml"):
        return ""
    path = project.folder / file
    left_out = contract_from_odcs(read_text(path), str(path), table).left_out
    return f"From {source}, without: {', '.join(left_out)}" if left_out else f"From {source}"


def _version(project: Project, ref: str) -> DatasetVersion:
    with project.database.read() as connection:
        return find_version(connection, ref)


def _stored(project: Project, version: DatasetVersion) -> _Table:
    manifest = manifest_of(project.blobs, version)
    if manifest.reading is None:
        msg = f"{version.ref} consists of files that are no table"
        raise InvalidInput(msg, hint="contracts are about the rows of tables")
    paths = openable(paths_of(project.files, version, manifest), project.files.cache / "names")
    return _Table(tuple(paths), manifest.reading)


def _checked(what: str, contract: Contract, findings: tuple[Finding, ...]) -> CheckedData:
    gated = tuple(finding.outcome for finding in findings if finding.is_gated)
    return CheckedData(
        what=what,
        contract=f"{contract.name} {contract.version}",
        n_rows=findings[0].n_rows if findings else 0,
        outcome=worst(gated),
        findings=findings,
    )
