"""Contracts that a project declares: in Python, in TOML, or as open data contracts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cd4ml.data.contract_file import read_contract
from cd4ml.errors import ConfigurationError
from cd4ml.models.impossible import refuse_wrong_types
from cd4ml.records.contract import Contract
from cd4ml.store.project import Project

_FORMS = "module:Name, a .toml file, or a .yaml file"


def declared(project: Project, name: str, *, key: str) -> Contract | None:
    """The contract that `cd4ml.toml` names; None for "".

    Args:
        project: Whose modules and files are meant.
        name: As it stands in `cd4ml.toml`: `module:Name` (of a Contract, or for datasets of
            a Pandera schema for Polars), the path of a TOML file, or of a YAML file in
            the Open Data Contract Standard.
        key: The key it stands under, for the message.

    Raises:
        ConfigurationError: If there is no such module, name or file, or it is no contract.
        InvalidInput: If its fields do not hold what `Field` says.
        PipelineError: If importing the module fails.
    """
    if not name:
        return None
    suffix = Path(name.partition("#")[0]).suffix.lower()
    if suffix == ".toml":
        return read_contract(project.folder / name)
    if suffix in (".yaml", ".yml"):
        from cd4ml.data.odcs import read_odcs

        return read_odcs(project.folder / name)
    return _from_module(project, name, key)


def _from_module(project: Project, name: str, key: str) -> Contract:
    module_name, colon, attribute = name.partition(":")
    if not (colon and module_name and attribute):
        msg = f"cd4ml.toml: expected MODULE:NAME, got {name!r} - at `{key}`"
        raise ConfigurationError(msg, hint=f'{_FORMS}: for example contract = "contracts:Flights"')
    from cd4ml.pipeline.module import imported

    with imported(project.folder, module_name) as module:
        contract = _accepted(getattr(module, attribute, None), name, key)
    if not isinstance(contract, Contract):
        found = "nothing" if contract is None else type(contract).__name__
        msg = f"cd4ml.toml: expected a Contract at {name}, got {found} - at `{key}`"
        raise ConfigurationError(msg, hint=f"{attribute} = Contract(name=..., fields=(...))")
    refuse_wrong_types(contract)
    return contract


def _accepted(thing: Any, name: str, key: str) -> Any:
    from cd4ml.data.pandera_schema import is_pandera, pandera_contract

    if not is_pandera(thing):
        return thing
    if not key.startswith("data."):
        msg = f"cd4ml.toml: a request is checked by a Contract, got a Pandera schema - at `{key}`"
        raise ConfigurationError(msg, hint="declare its fields as Contract(name=..., fields=(...))")
    return pandera_contract(thing, name.partition(":")[2])
