"""An immutable trained model, and the movable names that point at one."""

from __future__ import annotations

from datetime import datetime

import msgspec


class ModelVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One immutable version of a named model.

    `run` is the run that trained it: follow it to the code revision, the
    parameters and the dataset versions. `verdict` is the one that let it in.
    """

    model: str
    number: int
    run: int
    verdict: int
    artifact: str  # content address of the model folder's manifest
    contract: str  # content address of the contract its requests must keep
    created_at: datetime
    created_by: str

    @property
    def ref(self) -> str:
        """`model/number`, the form people type and logs print."""
        return f"{self.model}/{self.number}"


class Alias(msgspec.Struct, frozen=True, kw_only=True):
    """A movable name of one version: `champion` is the version in charge."""

    model: str
    name: str
    number: int
    moved_at: datetime
    moved_by: str
