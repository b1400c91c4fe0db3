"""Contracts that a project declares in Python, by the `module:Name` of `cd4ml.toml`."""

from __future__ import annotations

from cd4ml.errors import ConfigurationError
from cd4ml.models.contract import refuse_wrong_types
from cd4ml.pipeline.module import imported
from cd4ml.records.contract import Contract
from cd4ml.store.project import Project


def declared(project: Project, name: str, *, key: str) -> Contract | None:
    """The contract at `module:Name`; None for "".

    Args:
        project: Whose modules are meant.
        name: As it stands in `cd4ml.toml`.
        key: The key it stands under, for the message.

    Raises:
        ConfigurationError: If there is no such module or name, or it is no Contract.
        InvalidInput: If its fields do not hold what `Field` says.
        PipelineError: If importing the module fails.
    """
    if not name:
        return None
    module_name, colon, attribute = name.partition(":")
    if not (colon and module_name and attribute):
        msg = f"cd4ml.toml: expected MODULE:NAME, got {name!r} - at `{key}`"
        raise ConfigurationError(msg, hint='for example contract = "contracts:Flights"')
    with imported(project.folder, module_name) as module:
        contract = getattr(module, attribute, None)
    if not isinstance(contract, Contract):
        found = "nothing" if contract is None else type(contract).__name__
        msg = f"cd4ml.toml: expected a Contract at {name}, got {found} - at `{key}`"
        raise ConfigurationError(msg, hint=f"{attribute} = Contract(name=..., fields=(...))")
    refuse_wrong_types(contract)
    return contract
