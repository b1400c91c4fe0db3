"""A registered model, its immutable versions, and the movable names that point at one."""

from __future__ import annotations

from datetime import datetime

import msgspec


class RegisteredModel(msgspec.Struct, frozen=True, kw_only=True):
    """A name under which versions are counted, with what people say about all of them.

    A deleted model is hidden, not gone: what was released or judged still points at it.
    """

    name: str
    description: str = ""
    tags: dict[str, str] = {}
    created_at: datetime
    created_by: str
    changed_at: datetime  # of the description, a tag, a version or a name
    deleted_at: datetime | None = None


class ModelVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One immutable version of a named model.

    `run` is the run that trained it (0: it was made elsewhere): follow it to the code
    revision, the parameters and the dataset versions. `verdict` is the one that let it in
    (0: it was registered before it was judged). What a version answers with never changes;
    its description, its tags and whether it is deleted may. `artifact` and `contract` are ""
    until it is packaged, which happens once.
    """

    model: str
    number: int
    run: int
    verdict: int
    artifact: str  # content address of the model folder's manifest
    contract: str  # content address of the contract its requests must keep
    logged: str = ""  # content address of the list of files that were logged; "" for none
    source: str = ""  # where its files came from, in the words of who brought them
    card: str = ""  # content address of what people wrote about its use, as it was then
    description: str = ""
    tags: dict[str, str] = {}
    created_at: datetime
    created_by: str
    changed_at: datetime | None = None  # of the description or a tag
    deleted_at: datetime | None = None

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


class AliasMove(msgspec.Struct, frozen=True, kw_only=True):
    """One move of an alias, as the ledger has it; 0 stands for no version."""

    model: str
    name: str
    left: int
    to: int
    at: datetime
    by: str
    why: str
    entry: int  # the ledger entry's sequence
