"""Contracts of models as files: written for review, shown, and compared as consumers see them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from cd4ml.data.contract_file import to_toml
from cd4ml.data.suggest import Suggestion, suggest
from cd4ml.errors import InvalidInput, NotFound
from cd4ml.loop.candidate import (
    Candidate,
    candidate_behind,
    candidate_of,
    contract_from_rows,
    contract_of,
    runtime_of,
    table,
)
from cd4ml.loop.contracts import declared
from cd4ml.loop.gathering.contract import p99_ms, size_mb
from cd4ml.loop.refs import number_in
from cd4ml.models import registry
from cd4ml.models.compatibility import (
    changes,
    is_raised_enough,
    needed,
    next_version,
    version_of,
)
from cd4ml.models.frames import to_rows
from cd4ml.records.contract import Contract, Field
from cd4ml.records.contract_gate import Bump, Change
from cd4ml.records.model_version import ModelVersion
from cd4ml.release.releases import in_charge
from cd4ml.store import rows
from cd4ml.store.project import Project

if TYPE_CHECKING:
    import polars as pl

_SUFFIXES = (".toml", ".yaml", ".yml")


class ComparedContracts(msgspec.Struct, frozen=True, kw_only=True):
    """What a contract changes for those who keep another one.

    `needed` is the part of the version that has to be raised, `is_raised` whether it is, and
    `next_version` what the new one would have to be called at least.
    """

    old: str
    old_version: str
    new: str
    new_version: str
    changes: tuple[Change, ...]
    needed: Bump
    is_raised: bool
    next_version: str


def contract_behind(project: Project, ref: str, *, takes_files: bool = True) -> Contract:
    """The contract of a version, of a run's candidate, or in a file.

    Args:
        project: Whose.
        ref: `delay/3`, `run/5` (what `cd4ml gate` would take), a .toml or .yaml file, or
            `module:Name`.
        takes_files: Whether it may name files and modules: not for whoever asks over HTTP.

    Raises:
        NotFound: If there is no such version or run, or the version has no contract yet.
        ConfigurationError: If the file or module has no contract.
        Refused: If the run did not finish.
        ContractViolated: If the run's training rows break the declared contract.
    """
    if takes_files and (":" in ref or Path(ref.partition("#")[0]).suffix.lower() in _SUFFIXES):
        found = declared(project, ref, key=ref)
        if found is None:  # what has a name has a contract
            raise AssertionError(ref)
        return found
    if _is_run(ref):
        return contract_of(project, candidate_of(project, number_in(ref, "run")))
    return _of_version(project, _version(project, ref))


def compared(
    project: Project, old: str, new: str, *, takes_files: bool = True
) -> ComparedContracts:
    """Two contracts beside each other, named as for `contract_behind`.

    Raises:
        InvalidInput: If one of them has no semantic version.
        NotFound, ConfigurationError, Refused, ContractViolated: As `contract_behind`.
    """
    before, after = (contract_behind(project, ref, takes_files=takes_files) for ref in (old, new))
    found = changes(before, after)
    bump = needed(found)
    was, now = version_of(before), version_of(after)
    return ComparedContracts(
        old=old,
        old_version=before.version,
        new=new,
        new_version=after.version,
        changes=found,
        needed=bump,
        is_raised=is_raised_enough(was, now, bump),
        next_version=str(next_version(was, bump)),
    )


def shown(project: Project, ref: str) -> str:
    """A contract as a TOML file, as it is. Errors as `contract_behind`."""
    return to_toml(contract_behind(project, ref))


def written(project: Project, ref: str) -> str:
    """The contract that training rows suggest, as a file to review and name in `[model] contract`.

    Comments say what was seen; what people declared before and no row shows (units, descriptions,
    what the answer means, budgets) is kept. Its version is the one that would follow that of the
    version in charge.

    Args:
        project: Whose.
        ref: A version, or a run.

    Raises:
        NotFound: If there is no such version or run.
        Refused: If the run did not finish, or the version comes from none.
    """
    version = None if _is_run(ref) else _version(project, ref)
    candidate = (
        candidate_behind(project, version)
        if version
        else candidate_of(project, number_in(ref, "run"))
    )
    learned = table(project, candidate.training)
    base = _with_words(project, contract_from_rows(project, candidate, learned))
    suggestion = _suggested(learned.select(base.names), candidate)
    limits = {field.name: field for field in suggestion.contract.fields}
    fields = tuple(_limited(field, limits.get(field.name)) for field in base.fields)
    contract = msgspec.structs.replace(base, fields=fields)
    head = _head(project, candidate, version)
    return to_toml(_versioned(project, candidate, contract), {**suggestion.notes, "": head})


def _with_words(project: Project, base: Contract) -> Contract:
    """The contract with what people have said before, which no row shows: names, units, meaning."""
    said = declared(project, project.settings.model.contract, key="model.contract")
    if said is None:
        return base
    known = {field.name: field for field in said.fields}
    fields = tuple(
        msgspec.structs.replace(
            field, unit=known[field.name].unit, description=known[field.name].description
        )
        if field.name in known
        else field
        for field in base.fields
    )
    return msgspec.structs.replace(
        base,
        name=said.name,
        description=said.description,
        fields=fields,
        output=said.output or base.output,
        latency_ms=said.latency_ms,
        size_mb=said.size_mb,
    )


def _suggested(requests: pl.DataFrame, candidate: Candidate) -> Suggestion:
    import polars.selectors as cs

    plain = requests.lazy().with_columns(cs.float().fill_nan(None))  # a request has null for it
    return suggest(plain, candidate.model)


def _limited(field: Field, suggested: Field | None) -> Field:
    """A field with the limits, the list or the pattern that its rows suggest."""
    if suggested is None or suggested.type != field.type:
        return field
    return msgspec.structs.replace(
        field,
        minimum=suggested.minimum,
        maximum=suggested.maximum,
        categories=suggested.categories,
        open=suggested.open,
        pattern=suggested.pattern,
    )


def _head(project: Project, candidate: Candidate, version: ModelVersion | None) -> str:
    lines = [
        f"Suggested from the training rows of {candidate.run.ref}; review every line: what is",
        "outside the limits and lists is refused, so they are what is possible, not what is usual.",
    ]
    if version is not None and version.artifact:
        runtime = runtime_of(project, version)
        sample = to_rows(runtime.contract, table(project, candidate.holdout).head(200))
        milliseconds, n = p99_ms(runtime, sample)
        lines += [
            "Budgets are promises, in latency_ms and size_mb. Where this was written, 99 of 100",
            f"of {n} single answers took at most {milliseconds:.2g} ms, and"
            f" {version.ref} has {size_mb(project.blobs, version.artifact):.2g} MB.",
        ]
    return "\n".join(lines)


def _versioned(project: Project, candidate: Candidate, contract: Contract) -> Contract:
    """The contract with the version that follows the one in charge, if there is one."""
    environments = list(project.settings.environments)
    with project.database.read() as connection:
        found = [in_charge(connection, candidate.model, name) for name in environments[::-1]]
        release = next((each for each in found if each), None)
        version = (
            rows.get(connection, ModelVersion, release.model, release.version) if release else None
        )
    if version is None or not version.contract:
        return contract
    before = project.blobs.get_record(version.contract, Contract)
    try:
        following = next_version(version_of(before), needed(changes(before, contract)))
    except InvalidInput:
        return contract
    return msgspec.structs.replace(contract, version=str(following))


def _is_run(ref: str) -> bool:
    return ref.startswith("run/") or ref.isdigit()


def _version(project: Project, ref: str) -> ModelVersion:
    with project.database.read() as connection:
        return registry.find_version(connection, ref)


def _of_version(project: Project, version: ModelVersion) -> Contract:
    if not version.contract:
        msg = f"{version.ref} is not packaged yet, so it has no contract"
        raise NotFound(msg, hint=f"cd4ml model package {version.ref}")
    return project.blobs.get_record(version.contract, Contract)
