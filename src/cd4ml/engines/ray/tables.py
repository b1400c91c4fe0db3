"""Tables in Ray's shared memory: every step of a node reads numbers where they lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cd4ml.engines.ray.connection import ray_module

if TYPE_CHECKING:
    import polars as pl

_PATIENCE_S = 10


class RayTables:
    """Tables by their content address, as Arrow in Ray's object store.

    They belong to one actor, so that they outlive the process that made them; those on a node
    that is lost are gone, and are read again from where they are stored.
    """

    def __init__(self) -> None:
        ray = ray_module()
        self._owner = ray.remote(_Owner).options(num_cpus=0).remote()

    def get(self, address: str) -> pl.DataFrame | None:
        """The table of an address, where it is at hand."""
        import polars as pl

        ray = ray_module()
        try:
            found = ray.get(self._owner.find.remote(address), timeout=_PATIENCE_S)
            if found is None:
                return None
            table = ray.get(found[0], timeout=_PATIENCE_S)
        except ray.exceptions.RayError:
            return None
        frame = pl.from_arrow(table)
        return frame if isinstance(frame, pl.DataFrame) else None

    def put(self, address: str, frame: pl.DataFrame) -> None:
        """Hold a table ready, if there is room."""
        ray = ray_module()
        try:
            # text as Arrow had it first: Ray cannot pass views of strings
            ray.get(self._owner.hold.remote(address, frame.to_arrow()), timeout=_PATIENCE_S)
        except ray.exceptions.RayError:
            return

    def drop(self, addresses: tuple[str, ...]) -> None:
        """Nobody needs them any more."""
        if addresses:
            self._owner.drop.remote(addresses)

    def end(self) -> None:
        """Nobody needs any of them."""
        ray_module().kill(self._owner)


class _Owner:
    """The actor that holds them; it gives references in a list, else Ray would send the tables."""

    def __init__(self) -> None:
        self._found: dict[str, list[Any]] = {}

    def find(self, address: str) -> list[Any] | None:
        return self._found.get(address)

    def hold(self, address: str, table: Any) -> None:
        # put by the actor: what a task puts is lost with the process that ran it
        if address not in self._found:
            self._found[address] = [ray_module().put(table)]

    def drop(self, addresses: tuple[str, ...]) -> None:
        for address in addresses:
            self._found.pop(address, None)
